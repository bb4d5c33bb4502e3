"""Attacks on what is cached, parsed and searched, replayed one after another on one running deployment: each is refused, told or bounded, the gateway serves
others meanwhile, and an order that is given behind it locks."""

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.asking import Asking
from tests.support.attacking import FILE, locked, until
from tests.support.besieging import INNOCENT, Siege, make_tokens
from tests.support.deployment import TABLES, doctor, running
from tests.support.history import make_event
from tests.support.history_tables import change_principals, stored_column
from tests.support.signals import free_port

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import read_key
from tallystick_producers import Actor, Resource, Why
from tallystick_producers.gateway.app import MAX_BODY
from tallystick_producers.gateway.exchange import MAX_FIELDS
from tallystick_producers.gateway.strangers import BURST
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_producers.serving import Limits
from tallystick_schemas.envelope import Number, Signer, parse_claim
from tallystick_schemas.events import Event, encode_event
from tallystick_schemas.headers import Erase, Kind
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.records import frame_record
from tallystick_schemas.segments import SegmentSigner
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.state import Agent, Key, encode_state, parse_state
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.notary.keeping import PER_MINUTE
from tallystick_stream_jobs.notary.ledger import ClickHouseLedger, Rows
from tallystick_stream_jobs.notary.rows import snapshot_row
from tallystick_stream_jobs.notary.snapshots import PLACE
from tallystick_stream_jobs.shared_signals.keyfile import ensure_keyring
from tallystick_stream_jobs.shared_signals.verify import MAX_SET_BYTES

pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(280)]
PARTS = ["notary", "responder", "sealer", "gateway", "console", "signals"]
REPO, LARGE = "models/m", "large.bin"
FILES, LARGE_BYTES = 2000, 64 << 20
AT_ONCE = 8
"""Requests that are sent together: what holds up a process does so for all of them."""
PATIENCE_S = 30.0
"""What takes milliseconds is given so long."""
MIB = 1 << 20
ROOM = Limits().connections


def now() -> str:
    return wire_time(time.time())


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    tokens: dict[str, str] = {}
    issuer = {"iss": "https://idp.example.org", "aud": "us", "jwks_file": "idp.jwks"}
    signals = {"enabled": True, "port": free_port(), "issuers": {"idp": issuer}}

    def prepare(deployment: Deployment) -> None:
        repo = deployment.path / "artifacts" / REPO
        repo.mkdir(parents=True)
        for n in range(FILES):
            (repo / f"part-{n}.bin").write_bytes(b"p")
        (deployment.path / "artifacts" / FILE).write_bytes(b"w" * 1000)
        with open(repo / LARGE, "wb") as file:
            file.truncate(LARGE_BYTES)
        ensure_keyring(deployment.keys / "signals.json", time.time())
        tokens.update(make_tokens(deployment.path / deployment.gateway().tokens_file))

    folder = tmp_path_factory.mktemp("besieged")
    (folder / "idp.jwks").write_text('{"keys":[]}')
    tables = {**TABLES, "signals": {**signals, "issuers": {"idp": {**issuer, "jwks_file": str(folder / "idp.jwks")}}}}
    with running(folder / "data", PARTS, tables=tables, prepare=prepare) as supervisor, Siege(supervisor, tokens) as made:
        yield made


# What is cached is bound to what was signed


def order(name: str) -> bytes:
    """Ann's order to lock somebody, as an event."""
    actor, about = Actor("ann", "human"), Resource("principal", name)
    return encode_event(Event(1, "A" * 22, now(), "credential.suspend", actor, about, "allowed", Why(text="so it is")))


@pytest.mark.parametrize("signs", ["a stranger", "nobody"])
def test_a_strangers_key_in_a_snapshot_lets_him_order_nothing(siege: Siege, signs: str) -> None:
    """With the store's password: the command line's key in the notary's snapshot is another one. The notary begins from it, or does not."""
    orders = "SELECT DISTINCT shard FROM ledger_entries WHERE agent = 'cli' AND kind = {kind:UInt8}"
    [(shard,)] = siege.wait_rows(orders, 1, kind=int(Kind.SEGMENT))
    query = "SELECT index, epoch, hex(state) FROM notary_snapshots FINAL WHERE shard = {shard:UInt32}"
    [(index, epoch, state)] = siege.wait_rows(query, 1, shard=shard)
    claim, stranger = parse_claim(bytes.fromhex(state)), Ed25519PrivateKey.generate()
    changed = parse_state(claim.body)
    public = stranger.public_key().public_bytes_raw()
    changed.agents.setdefault("cli", Agent({}, {})).keys[key_id(public)] = Key(public, active=True)
    body, log = encode_state(changed), siege.supervisor.part_log("notary")
    deployment = siege.deployment.log().deployment
    forged = Signer(deployment, claim.agent, stranger).sign(PLACE, b"%d" % shard, Number(0, index), body)
    if signs == "nobody":
        forged = body
    with siege.holds():
        siege.kill("notary")
        before = log.stat().st_size
        siege.alter("notary_snapshots", "DELETE WHERE shard = {shard:UInt32}", shard=shard)
        ClickHouseLedger(siege.owner).insert(Rows([], [], [], [snapshot_row(shard, index, epoch, forged)]))
        mine = siege.signer("cli", stranger)
        siege.put([mine.sign([order(INNOCENT)], now()).record], key=b"cli")
        assert [verdict for _, _, verdict in siege.verdicts(mine.run, 1)] == [Verdict.UNKNOWN_KEY]
        assert f"shard {shard}: the snapshot is not used" in log.read_text()[before:]
    assert f"principal:{INNOCENT}" not in locked(siege.deployment)
    siege.passes()


def test_a_column_that_was_made_to_be_written_and_a_name_that_was_written_into_it_are_told(siege: Siege) -> None:
    names = {INNOCENT: "nobody@example.org"}
    with siege.holds():
        with stored_column(siege.owner, "events", "principal"):
            change_principals(siege.owner, names)
            report = siege.judged()
            assert (report.integrity.value, {one.step for one in report.failures}) == ("fail", {7})
            assert any(one.reason.startswith("events: column principal is") for one in report.failures)
            assert not doctor(siege.supervisor)["tables"]["ok"]
        # The definition is as it was, and the name is still another.
        report = siege.judged()
        assert (report.integrity.value, {one.step for one in report.failures}) == ("fail", {7})
        assert all(one.index is not None and "nobody@example.org" in one.reason for one in report.failures)
        change_principals(siege.owner, {after: before for before, after in names.items()})
    siege.passes()


def test_an_event_with_a_number_that_no_reader_holds_is_no_event(siege: Siege) -> None:
    mine = siege.signer("one")
    with siege.holds():
        siege.put([mine.sign([make_event(1), make_event(2)[:-1] + b',"x":1e999}'], now()).record], key=b"one")
        [(shard, index, verdict)] = siege.verdicts(mine.run, 1)
    assert verdict == Verdict.MALFORMED_EVENT
    assert siege.rows(f"SELECT count() FROM events WHERE shard = {shard} AND index = {index}") == [(0,)]
    siege.passes()


def test_another_past_in_a_gap_is_refused_and_named(siege: Siege) -> None:
    mine = siege.signer("one")
    twin = SegmentSigner("one", read_key(siege.deployment.agent_key("one")), mine.run)
    true = [mine.sign([make_event(n)], now()).record for n in range(3)]
    false = [twin.sign([make_event(10 + n)], now()).record for n in range(2)]
    with siege.holds():
        siege.put([true[0], true[2], false[1]], key=b"one")
        *_, (shard, index, verdict) = siege.verdicts(mine.run, 3)
        assert verdict == Verdict.FORK
        # Its own segment fills the gap still.
        siege.put([true[1]], key=b"one")
        assert siege.verdicts(mine.run, 4)[-1][2] == Verdict.OUT_OF_ORDER
    assert (shard, index) in [(fork.shard, fork.index) for fork in siege.passes().forks]


def erasure(siege: Siege, shard: int, index: int, pos: int) -> bytes:
    """The operator's record about one event."""
    items, operator = [b'{"index":%d,"pos":%d}' % (index, pos)], read_key(siege.deployment.keys / "operator.key")
    key = key_id(operator.public_key().public_bytes_raw())
    header = Erase(1, key, now(), shard, "alice", "asked", ["bob"], 1, root_of(leaf_hashes(items)).hex())
    return sign_record(header, operator, items)


def test_an_erasure_that_is_played_again_covers_no_other_event(siege: Siege) -> None:
    mine, raws = siege.signer("one"), [make_event(n) for n in range(4)]
    with siege.holds():
        siege.put([mine.sign(raws, now()).record], key=b"one")
        [(shard, index, _)] = siege.verdicts(mine.run, 1)
        siege.put([erasure(siege, shard, index, 1)] * 4, shard=shard)
        erased = "SELECT index FROM ledger_entries FINAL WHERE shard = {shard:UInt32} AND kind = {kind:UInt8}"
        siege.wait_rows(erased, 4, shard=shard, kind=int(Kind.ERASE))
        where = f"WHERE shard = {shard} AND index = {index}"
        siege.alter("events", f"UPDATE raw = '' {where}")
        report = siege.judged()
        assert [(one.step, one.shard, one.index) for one in report.failures] == [(8, shard, index)]
        for pos in (0, 2, 3):
            siege.alter("events", f"UPDATE raw = unhex({{raw:String}}) {where} AND pos = {pos}", raw=raws[pos].hex())
    assert siege.passes().erased == 1


# Cost before trust

ESCAPES = b'{"' + b'\\"' * 2000
"""A string that never ends: what looks for its end again and again looks 2,000 times."""
SIGNATURE = os.urandom(64)


def garbage_in(siege: Siege, count: int, shard: int | None = None) -> int:
    where = "" if shard is None else f" AND shard = {shard}"
    query = f"SELECT 1 FROM ledger_entries FINAL WHERE verdict = {int(Verdict.MALFORMED)}{where}"
    return len(siege.wait_rows(query, count))


def test_megabytes_of_headers_that_cost_most_hold_off_no_lock(siege: Siege) -> None:
    record = frame_record(Kind.SEGMENT, ESCAPES, SIGNATURE, b"")
    count = 12 * MIB // 5 // len(record)
    before = garbage_in(siege, 0)
    with siege.holds():
        siege.put([record] * count)
    assert garbage_in(siege, before + count) == before + count
    siege.passes()


def test_of_garbage_no_more_is_kept_than_its_bound(siege: Siege) -> None:
    """Three times what is kept of a minute, in one shard. All of it has entries."""
    shard, pieces = 1, 3 * PER_MINUTE // (200 << 10)
    before = garbage_in(siege, 0, shard)
    with siege.holds():
        siege.put([os.urandom(200 << 10) for _ in range(pieces)], shard=shard)
    assert garbage_in(siege, before + pieces, shard) == before + pieces
    kept = siege.rows(
        "SELECT l.shard, toStartOfMinute(l.append_time) AS minute, sum(length(r.raw)) FROM rejected AS r FINAL INNER JOIN ledger_entries AS l FINAL "
        f"ON r.shard = l.shard AND r.index = l.index WHERE l.verdict = {int(Verdict.MALFORMED)} GROUP BY l.shard, minute"
    )
    assert kept
    assert max(size for _, _, size in kept) <= PER_MINUTE
    siege.passes()


def test_tokens_as_large_as_may_be_hold_up_no_signals(siege: Siege) -> None:
    header = urlsafe_b64encode(b'{"' + b'\\"' * (23 << 10))
    token = header + b"." + b"A" * (MAX_SET_BYTES - len(header) - 5) + b".e30"
    address, kind = siege.url("signals") + "/ssf/receive/idp", {"content-type": "application/secevent+jwt"}

    def push(_: int) -> tuple[int, str]:
        answer = httpx.post(address, content=token, headers=kind, timeout=PATIENCE_S)
        return answer.status_code, answer.json()["err"]

    with siege.holds(), ThreadPoolExecutor(AT_ONCE) as pushing:
        pushed = pushing.map(push, range(AT_ONCE))
        assert httpx.get(siege.url("signals") + "/ssf/jwks.json", timeout=PATIENCE_S).status_code == 200
        assert set(pushed) == {(400, "invalid_request")}


def test_a_question_about_as_many_paths_as_may_be_holds_up_nobody(siege: Siege) -> None:
    paths = json.dumps({"paths": [f"x{n:05}" for n in range((MAX_BODY - 100) // 9)]}, separators=(",", ":"))
    bodies = [paths.encode(), b'{"paths":["' + b'\\"' * (MAX_BODY // 2 - 100) + b'"]}', ESCAPES[:2] + ESCAPES[2:] * (MAX_BODY // 4100)]

    def ask(n: int) -> int:
        headers = {"authorization": f"Bearer {siege.tokens[INNOCENT]}", "content-type": "application/json"}
        address = siege.url("gateway") + "/api/models/m/paths-info/main"
        return httpx.post(address, content=bodies[n % len(bodies)], headers=headers, timeout=PATIENCE_S).status_code

    with siege.holds(), ThreadPoolExecutor(AT_ONCE) as asking:
        assert set(asking.map(ask, range(3 * AT_ONCE))) <= {200, 400}


def test_what_unpacks_to_gigabytes_is_refused_by_the_store(siege: Siege) -> None:
    """An auditor's gzip of a megabyte."""
    packed = zlib.compressobj(6, zlib.DEFLATED, 31)
    bomb = packed.compress(b"SELECT 1") + b"".join(packed.compress(b" " * MIB) for _ in range(1024)) + packed.flush()
    with siege.holds(), Asking(siege.deployment.clickhouse("auditor")) as auditor:
        for _ in range(3):
            code, said = auditor.ask(bomb, {"Content-Encoding": "gzip"})
            assert (code, "more than" in said) == ("191", True)
        assert auditor.ask("SELECT 1") == (None, "1\n")


def test_strangers_at_the_door_are_counted_and_not_written_down_one_by_one(siege: Siege) -> None:
    knocks = 600
    query = "SELECT JSONExtractString(raw, 'attrs', 'stands_for') FROM events FINAL WHERE action = 'auth.fail' AND time >= {since:String}"
    began = now()[:-1].replace("T", " ")

    def knock(_: int) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", siege.supervisor._ports["gateway"], timeout=PATIENCE_S)) as door:
            for _ in range(knocks // AT_ONCE):
                door.request("GET", f"/files/{FILE}")
                answer = door.getresponse()
                answer.read()
                assert answer.status == 401

    def told() -> list[int]:
        return [int(stands or 1) for (stands,) in siege.rows(query, since=began)]

    with siege.holds(), ThreadPoolExecutor(AT_ONCE) as knocking:
        list(knocking.map(knock, range(AT_ONCE)))
    until(siege.supervisor, lambda: sum(told()) >= knocks, "each is told or counted")
    assert (sum(told()), told().count(1) >= BURST, len(told()) < knocks / 4) == (knocks, True, True)


def test_a_query_of_too_many_fields_is_a_recorded_refusal(siege: Siege) -> None:
    address = siege.url("gateway") + f"/files/{FILE}?" + "a=1&" * MAX_FIELDS + "a=1"
    with siege.holds():
        answer = httpx.get(address, headers={"authorization": f"Bearer {siege.tokens[INNOCENT]}"}, timeout=PATIENCE_S)
        assert answer.status_code == 400
        query = "SELECT outcome FROM events FINAL WHERE request_id = {id:String}"
        assert {row[0] for row in siege.wait_rows(query, 1, id=answer.headers["x-request-id"])} <= {"denied", "error"}


@pytest.mark.parametrize("part", ["clickhouse", "console"])
def test_a_crowd_that_says_nothing_keeps_nobody_out(siege: Siege, part: str) -> None:
    with siege.holds(), siege.crowded(part, 2 * ROOM):
        if part == "console":
            assert httpx.get(siege.url(part) + "/healthz", timeout=PATIENCE_S).status_code == 200
        else:
            with Asking(siege.deployment.clickhouse("auditor")) as auditor:
                assert auditor.ask("SELECT 1") == (None, "1\n")
        assert siege.connections(part) < ROOM * 3 // 2


TRAILERS = b"a: b\r\n" * (4 * MIB)
"""More than the buffers between two sockets take."""
CHUNKED = b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


@pytest.mark.parametrize("part", ["gateway", "signals", "console", "clickhouse"])
def test_headers_behind_a_body_come_to_an_end(siege: Siege, part: str) -> None:
    """Nobody needs a token to send them, and nobody reads them."""
    with siege.holds(), siege.connected(part) as stranger:
        stranger.sendall(CHUNKED)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            stranger.sendall(TRAILERS)


@pytest.mark.parametrize("ends", ["is revoked", "runs out"])
def test_a_download_goes_no_further_than_its_token(siege: Siege, ends: str) -> None:
    """The client takes a little, and the rest when the token has ended: what was on its way comes, and no more."""
    path, token = siege.deployment.path / siege.deployment.gateway().tokens_file, new_token()
    expires = wire_time(time.time() + 8) if ends == "runs out" else None
    record = token_record(token, "thief@example.org", "human", expires=expires)
    append_token(path, record)
    address, headers = f"/files/{REPO}/{LARGE}", {"authorization": f"Bearer {token}"}

    def status() -> int:
        return httpx.head(siege.url("gateway") + address, headers=headers, timeout=PATIENCE_S).status_code

    until(siege.supervisor, lambda: status() == 200, "the token is known")
    connection = http.client.HTTPConnection("127.0.0.1", siege.supervisor._ports["gateway"], timeout=PATIENCE_S)
    with siege.holds(), contextlib.closing(connection):
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        taken = len(answer.read(64 << 10))
        if ends == "is revoked":
            revoke = [
                sys.executable,
                "-m",
                "tallystick_infra.cli",
                "token",
                "revoke",
                record.credential,
                "--data",
                str(siege.deployment.path),
            ]
            subprocess.run(revoke, check=True, timeout=60, capture_output=True)
        until(siege.supervisor, lambda: status() == 401, "the token has ended")
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while piece := answer.read1(64 << 10):
                taken += len(piece)
    assert (64 << 10) <= taken < LARGE_BYTES // 2
