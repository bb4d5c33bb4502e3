"""Unmodified huggingface_hub, 1.x and 2.x, through the gateway: same files, every file an event, and a lock that a person understands."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.huggingface import client_python, run_client

FILES = {
    "config.json": b'{"model_type": "tiny"}',
    "model-00001-of-00002.safetensors": bytes(range(256)) * 12_000,
    "model-00002-of-00002.safetensors": bytes(reversed(range(256))) * 999,
    "tokenizer/vocab.txt": "zwölf\nBoxkämpfer".encode(),
    "sub folder/ünïcode #1.json": b"{}",
    ".gitattributes": b"hidden files are not served",
}
SERVED = {name: content for name, content in FILES.items() if not name.startswith(".")}
SNAPSHOT = """
import huggingface_hub, sys
print(huggingface_hub.__version__)
print(huggingface_hub.snapshot_download({repo!r}, repo_type={kind!r}, local_dir={target!r}))
"""


@pytest.fixture(scope="module", params=["huggingface-1", "huggingface-2"])
def client(request: pytest.FixtureRequest) -> tuple[Path, str]:
    name: str = request.param
    return client_python(name), name[-1]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path / "gateway") as running:
        for folder in ("models/acme/tiny", "datasets/faces"):
            for name, content in FILES.items():
                running.put(f"{folder}/{name}", content)
        running.put("models/acme/tiny/tallystick.json", b'{"sensitivity": "restricted"}')
        running.token("alice")
        yield running


def snapshot(gateway: RunningGateway, python: Path, target: Path, repo: str, kind: str | None = None) -> tuple[int, str]:
    """A snapshot_download into `target`, as alice: exit code and everything printed."""
    program = SNAPSHOT.format(repo=repo, kind=kind, target=str(target))
    done = run_client(python, program, gateway.url, gateway.token("alice"), target.parent)
    return done.returncode, done.stdout + done.stderr


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file under a folder that the client downloaded, by its path."""
    found = {}
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".cache"]
        for name in names:
            path = Path(base, name)
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


@pytest.mark.parametrize(("repo", "kind", "resource"), [("acme/tiny", None, "models/acme/tiny"), ("faces", "dataset", "datasets/faces")])
def test_a_snapshot_has_the_same_files_and_every_file_is_an_event(
    gateway: RunningGateway, client: tuple[Path, str], tmp_path: Path, repo: str, kind: str | None, resource: str
) -> None:
    code, printed = snapshot(gateway, client[0], tmp_path / "got", repo, kind)
    assert code == 0, printed
    assert printed.startswith(client[1] + "."), printed
    assert files_in(tmp_path / "got") == SERVED

    def is_content(event: object) -> bool:
        usage = getattr(event, "usage", None)
        return usage is not None and usage.objects == 1 and usage.bytes is not None

    sent = gateway.sink.wait(is_content, len(SERVED))
    assert {event.resource.id for event in sent} == {resource}
    assert {event.actor.principal for event in sent} == {"alice"}
    assert {event.outcome for event in sent} == {"allowed"}
    assert sorted((event.resource.part, event.usage and event.usage.bytes) for event in sent) == sorted(
        (name, len(content)) for name, content in SERVED.items()
    )
    for event in sent:
        assert event.attrs is not None
        decision = gateway.sink.of(event.attrs["request_id"])[0]
        assert (decision.action, decision.usage and decision.usage.objects) == ("access.check", 1)
        assert decision in gateway.sink.durable


def test_a_lock_is_a_clear_error_in_the_client_and_unlocking_mends_it(
    gateway: RunningGateway, client: tuple[Path, str], tmp_path: Path
) -> None:
    gateway.lock("principal:alice", reason="Bulk pull of distinct objects", until="2099-01-01T00:00:00.000000Z")
    code, printed = snapshot(gateway, client[0], tmp_path / "one" / "got", "acme/tiny")
    assert code != 0
    assert "Access of principal alice is suspended" in printed
    assert "until 2099-01-01 00:00 UTC: Bulk pull of distinct objects" in printed
    assert "quote cmd-7 to your security team" in printed
    denied = gateway.sink.wait(lambda event: event.outcome == "denied")
    assert denied[0].attrs is not None
    assert denied[0].attrs["request_id"] in printed
    assert files_in(tmp_path / "one") == {} or "model" not in str(files_in(tmp_path / "one"))

    gateway.unlock("principal:alice")
    code, printed = snapshot(gateway, client[0], tmp_path / "two" / "got", "acme/tiny")
    assert code == 0, printed
    assert files_in(tmp_path / "two" / "got") == SERVED


def test_one_file_and_its_facts(gateway: RunningGateway, client: tuple[Path, str], tmp_path: Path) -> None:
    program = f"""
import huggingface_hub as h
api = h.HfApi()
path = h.hf_hub_download("acme/tiny", "config.json", cache_dir={str(tmp_path / "cache")!r})
print(open(path).read())
print(sorted(s.rfilename for s in api.model_info("acme/tiny").siblings))
print([(i.path, i.size) for i in api.get_paths_info("acme/tiny", ["config.json", "no.bin"])])
print(api.file_exists("acme/tiny", "no.bin"), api.file_exists("acme/tiny", "config.json"), api.repo_exists("nobody/x"))
"""
    done = run_client(client[0], program, gateway.url, gateway.token("alice"), tmp_path)
    assert done.returncode == 0, done.stderr
    text, siblings, facts, exist = done.stdout.splitlines()
    assert text == '{"model_type": "tiny"}'
    assert siblings == str(sorted(SERVED))
    assert facts == f"[('config.json', {len(FILES['config.json'])})]"
    assert exist == "False True False"


def test_without_a_token_the_client_says_so(gateway: RunningGateway, client: tuple[Path, str], tmp_path: Path) -> None:
    program = SNAPSHOT.format(repo="acme/tiny", kind=None, target=str(tmp_path / "got"))
    done = run_client(client[0], program, gateway.url, "ts_unknown", tmp_path)
    assert done.returncode != 0
    assert "valid bearer token" in done.stdout + done.stderr
