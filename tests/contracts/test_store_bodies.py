"""What a body may cost the embedded store: a bound a user, whether it is compressed or not, announced or in chunks. And what a crowd of sockets may."""

import re
import resource
import socket
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import lz4.frame
import psutil
import pytest
import zstandard
from tests.support.asking import Asking
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse

from tallystick_infra.clickhouse.bodies import MAX_INSERT, inflate, most_of
from tallystick_infra.clickhouse.grants import Role
from tallystick_infra.clickhouse.statements import MAX_QUERY, BadRequest
from tallystick_stream_jobs.notary.ledger import INSERT_BYTES, ClickHouseLedger, Rows

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(300)]
MIB = 1 << 20
QUESTION = b"SELECT 1"


def _gzip(pieces: Iterator[bytes]) -> bytes:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packed.compress(piece) for piece in pieces) + packed.flush()


def _lz4(pieces: Iterator[bytes]) -> bytes:
    packed = lz4.frame.LZ4FrameCompressor()
    return bytes(packed.begin() + b"".join(packed.compress(piece) for piece in pieces) + packed.flush())


def _zstd(pieces: Iterator[bytes]) -> bytes:
    packed = zstandard.ZstdCompressor(level=19).compressobj()
    return b"".join(packed.compress(piece) for piece in pieces) + packed.flush()


PACKED: dict[str, Callable[[Iterator[bytes]], bytes]] = {"gzip": _gzip, "lz4": _lz4, "zstd": _zstd}


def spaces(mib: int) -> Iterator[bytes]:
    """A question with so many MiB of nothing behind it."""
    yield QUESTION
    for _ in range(mib):
        yield b" " * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as embedded:
            yield embedded
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def engine_of(server: EmbeddedClickHouse) -> psutil.Process:
    """The process that serves, below its guard."""
    (found,) = psutil.Process(server.child.pid).children()
    return found


def most_memory(process: psutil.Process) -> int:
    """Its highest yet, in bytes; what it has now where the system does not say."""
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else process.memory_info().rss


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """768 MiB each. Of lz4, 255 to one at the best, it is what an insert may be."""
    return {coding: packed(spaces(768)) for coding, packed in PACKED.items()}


@pytest.mark.parametrize("role", ["auditor", "notary"])
@pytest.mark.parametrize("coding", PACKED)
def test_a_bomb_is_refused_and_costs_no_memory(server: EmbeddedClickHouse, bombs: dict[str, bytes], coding: str, role: Role) -> None:
    process = engine_of(server)
    before, highest = process.memory_info().rss, most_memory(process)
    with Asking(server.settings(role=role)) as user:
        code, said = user.ask(bombs[coding], {"Content-Encoding": coding})
        assert (code, f"more than {most_of(role)} bytes" in said, f"user {role} " in said) == ("191", True, True)
        assert user.ask("SELECT 1")[1] == "1\n"
    assert most_memory(process) <= max(highest, before + 200 * MIB)


@pytest.mark.parametrize("coding", PACKED)
def test_no_more_than_the_bound_and_one_step_is_ever_inflated(bombs: dict[str, bytes], coding: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest, match=f"more than {MAX_QUERY} bytes"):
            inflate(bombs[coding], coding, "auditor")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * MIB


@pytest.mark.parametrize("coding", PACKED)
def test_a_compressed_question_is_answered(server: EmbeddedClickHouse, coding: str) -> None:
    small = PACKED[coding](iter([QUESTION]))
    with Asking(server.settings(role="auditor")) as user:
        assert user.ask(small, {"Content-Encoding": coding}) == (None, "1\n")
        for wrong in (small[:-5], small + small, small + b"x", b"x" * 2000, b""):
            assert user.ask(wrong, {"Content-Encoding": coding})[0] == "354"


def test_what_is_announced_too_large_is_refused_before_it_is_sent(server: EmbeddedClickHouse) -> None:
    with Asking(server.settings(role="auditor")) as user:
        connection = user._connection
        connection.putrequest("POST", "/?database=tallystick")
        for name, value in (user._headers | {"Content-Length": str(MAX_QUERY + 1)}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (413, "191")


def test_what_comes_in_chunks_is_refused_on_its_way(server: EmbeddedClickHouse) -> None:
    with Asking(server.settings(role="auditor")) as user:
        user._connection.request("POST", "/?database=tallystick", spaces(3), user._headers, encode_chunked=True)
        answer = user._connection.getresponse()
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (413, "191")


def test_a_password_comes_before_a_body(server: EmbeddedClickHouse, bombs: dict[str, bytes]) -> None:
    with Asking(server.settings(role="auditor")) as user:
        user._headers["X-ClickHouse-Key"] = "x"
        assert user.ask(bombs["gzip"], {"Content-Encoding": "gzip"})[0] == "516"


def test_the_notary_inserts_whatever_waited_for_it(server: EmbeddedClickHouse) -> None:
    """More than the store takes at once, in blocks that it takes."""
    client = server.client(role="notary")
    raw = b"x" * (256 << 10)
    size = b"\x80\x80\x10"
    rows = [(0).to_bytes(4, "little") + n.to_bytes(8, "little") + (0).to_bytes(2, "little") + size + raw for n in range(300)]
    assert sum(map(len, rows)) > MAX_INSERT > 2 * INSERT_BYTES
    ClickHouseLedger(client).insert(Rows(rows, [], [], []))
    assert client.query("SELECT count(), sum(length(raw)), max(index) FROM events").result_rows == [(300, 300 * len(raw), 299)]


def test_the_store_takes_the_files_that_it_may_have(server: EmbeddedClickHouse) -> None:
    soft, hard = engine_of(server).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536) > 512


def test_a_crowd_of_idle_sockets_keeps_no_insert_out(server: EmbeddedClickHouse) -> None:
    """1,100 of them, where the store may have 1,024 files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    process = engine_of(server)
    process.rlimit(psutil.RLIMIT_NOFILE, (1024, process.rlimit(psutil.RLIMIT_NOFILE)[1]))
    row = (1).to_bytes(4, "little") + (7).to_bytes(8, "little") + b"\1x"
    with ExitStack() as crowd:
        for _ in range(1100):
            crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
        ClickHouseLedger(server.client(role="notary")).insert(Rows([], [row], [], []))
        assert process.num_fds() < 900
    assert server.client().query("SELECT count() FROM rejected WHERE shard = 1").result_rows == [(1,)]
