"""The gateway over real HTTP: what is served, and which events tell of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, running_gateway

from tallystick_producers.errors import SpoolFull

WEIGHTS = bytes(range(256)) * 4096
PATH = "/files/models/acme/big/model-00001-of-00002.safetensors"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        running.put("models/acme/big/model-00001-of-00002.safetensors", WEIGHTS)
        running.put("models/acme/big/model-00002-of-00002.safetensors", WEIGHTS[:1000])
        running.put("models/acme/big/config.json", b"{}")
        running.put("models/acme/big/empty.txt", b"")
        meta = b'{"sensitivity": "restricted", "version": "3", "collection": "frontier", "canary": ["decoy.bin"]}'
        running.put("models/acme/big/tallystick.json", meta)
        running.put("models/acme/big/decoy.bin", b"x")
        running.put("models/gated/tallystick.json", b'{"roles": ["deploy"]}')
        running.put("models/gated/config.json", b"{}")
        running.put("datasets/faces/train/a.parquet", b"rows")
        running.put("datasets/faces/README.md", b"# Faces")
        running.token("alice")
        yield running


@pytest.fixture
def alice(gateway: RunningGateway) -> str:
    return gateway.token("alice")


def test_a_download_is_a_durable_decision_and_a_download_with_its_bytes(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get(PATH, alice)
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    decision, download = gateway.events(answer, 2)
    assert decision in gateway.sink.durable
    assert (decision.action, decision.outcome) == ("access.check", "allowed")
    assert decision.usage is not None
    assert decision.usage.objects == 1
    assert decision.why is not None
    assert decision.why.policies == ["token.valid", "lock.none"]
    assert decision.attrs is not None
    assert decision.attrs["parts"] == "3"
    assert decision.attrs["method"] == "GET"
    assert (download.action, download.outcome) == ("artifact.download", "allowed")
    assert download.usage is not None
    assert (download.usage.bytes, download.usage.objects) == (len(WEIGHTS), 1)
    for event in (decision, download):
        resource = event.resource
        assert (event.actor.principal, event.actor.kind) == ("alice", "human")
        assert event.actor.credential is not None
        assert event.actor.credential.startswith("cred-")
        assert (resource.kind, resource.id, resource.version) == ("model", "models/acme/big", "3")
        assert (resource.part, resource.collection, resource.sensitivity) == ("model-00001-of-00002.safetensors", "frontier", "restricted")
        assert event.source is not None
        assert event.source.ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/files/models/acme/big/config.json", "artifact.read"),
        ("/files/models/acme/big/empty.txt", "artifact.read"),
        ("/files/datasets/faces/train/a.parquet", "artifact.download"),
        ("/files/datasets/faces/README.md", "dataset.read"),
        ("/files/models/acme/big/", "artifact.list"),
        ("/api/models/acme/big", "artifact.list"),
    ],
)
def test_each_kind_of_access_has_its_action(gateway: RunningGateway, alice: str, path: str, action: str) -> None:
    answer = gateway.get(path, alice)
    assert answer.status_code == 200
    decision, done = gateway.events(answer, 2)
    assert done.action == action
    assert done.usage is not None
    assert done.usage.bytes == len(answer.content)
    counted = 0 if action == "artifact.list" else 1
    assert (decision.usage.objects if decision.usage else 0) == counted


def test_without_a_version_the_commit_is_one(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get("/files/datasets/faces/README.md", alice)
    assert gateway.events(answer, 2)[0].resource.version == answer.headers["x-repo-commit"][:12]
    assert len(answer.headers["x-repo-commit"]) == 40


def test_a_canary_is_marked(gateway: RunningGateway, alice: str) -> None:
    events = gateway.events(gateway.get("/files/models/acme/big/decoy.bin", alice), 2)
    assert [event.attrs and event.attrs.get("canary") for event in events] == ["true", "true"]


def test_head_tells_the_size_and_counts_no_object(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get(PATH, alice, "HEAD")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(WEIGHTS)))
    decision, done = gateway.events(answer, 2)
    assert decision.usage is None
    assert (done.action, done.usage and done.usage.bytes, done.usage and done.usage.objects) == ("artifact.list", 0, None)


@pytest.mark.parametrize(
    ("asked", "sent", "content_range"),
    [
        ("bytes=0-0", WEIGHTS[:1], f"bytes 0-0/{len(WEIGHTS)}"),
        ("bytes=-5", WEIGHTS[-5:], f"bytes {len(WEIGHTS) - 5}-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"),
        ("bytes=1000000-", WEIGHTS[1000000:], f"bytes 1000000-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"),
        ("bytes=5-9, 8-20", WEIGHTS[5:21], f"bytes 5-20/{len(WEIGHTS)}"),
    ],
)
def test_a_range_is_that_part_of_the_file(gateway: RunningGateway, alice: str, asked: str, sent: bytes, content_range: str) -> None:
    answer = gateway.get(PATH, alice, headers={"range": asked})
    assert (answer.status_code, answer.headers["content-range"], answer.content) == (206, content_range, sent)
    usage = gateway.events(answer, 2)[1].usage
    assert usage is not None
    assert usage.bytes == len(sent)


def test_several_ranges_come_as_parts(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get(PATH, alice, headers={"range": "bytes=0-3,100-103,-2"})
    assert answer.status_code == 206
    boundary = answer.headers["content-type"].removeprefix("multipart/byteranges; boundary=").encode()
    parts = answer.content.split(b"\r\n--" + boundary)
    assert (parts[0], parts[-1]) == (b"", b"--\r\n")
    bodies = [part.split(b"\r\n\r\n", 1) for part in parts[1:-1]]
    assert [body for _, body in bodies] == [WEIGHTS[:4], WEIGHTS[100:104], WEIGHTS[-2:]]
    assert f"Content-Range: bytes 100-103/{len(WEIGHTS)}".encode() in bodies[1][0]
    usage = gateway.events(answer, 2)[1].usage
    assert usage is not None
    assert usage.bytes == 10


def test_a_range_beyond_the_end_is_416_and_an_event(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get(PATH, alice, headers={"range": f"bytes={len(WEIGHTS)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(WEIGHTS)}")
    assert gateway.events(answer, 1)[0].outcome == "error"


def test_conditions(gateway: RunningGateway, alice: str) -> None:
    first = gateway.get(PATH, alice, "HEAD")
    tag, date = first.headers["etag"], first.headers["last-modified"]
    assert re.fullmatch(r'"[0-9a-f]{64}"', tag)

    def status(method: str = "GET", **headers: str) -> int:
        return gateway.get(PATH, alice, method, headers={name.replace("_", "-"): value for name, value in headers.items()}).status_code

    assert status(if_none_match=tag) == 304
    assert status(if_none_match=f'"x", W/{tag}') == 304
    assert status(if_none_match='"x"') == 200
    assert status(if_match=tag) == 200
    assert status(if_match='"x"') == 412
    assert status(if_modified_since=date) == 304
    assert status(if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 412
    assert status(range="bytes=0-1", if_range=tag) == 206
    assert status(range="bytes=0-1", if_range='"x"') == 200
    unchanged = gateway.get(PATH, alice, headers={"if-none-match": tag})
    decision, done = gateway.events(unchanged, 2)
    assert decision.usage is None
    assert (done.action, done.usage and done.usage.bytes) == ("artifact.list", 0)


def test_a_changed_file_has_another_tag_and_the_repository_another_commit(gateway: RunningGateway, alice: str) -> None:
    path = "/files/models/changing/weights.bin"
    gateway.put("models/changing/weights.bin", b"one")
    first = gateway.get(path, alice)
    gateway.put("models/changing/weights.bin", b"two")
    changed = first
    while changed.content != b"two":  # a listing is kept for a second; meanwhile nothing of the new file is served
        changed = gateway.get(path, alice)
        assert changed.status_code == 503 or changed.content == b"two"
    assert changed.headers["etag"] != first.headers["etag"]
    assert changed.headers["x-repo-commit"] != first.headers["x-repo-commit"]


@pytest.mark.parametrize("authorization", [None, "Bearer ts_wrong-secret", "Bearer", "Basic dHNfd3Jvbmctc2VjcmV0", "ts_wrong-secret"])
def test_no_or_an_unknown_token_is_401_and_auth_fail(gateway: RunningGateway, authorization: str | None) -> None:
    answer = gateway.get(PATH, headers={"authorization": authorization} if authorization else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    (event,) = gateway.events(answer, 1)
    assert (event.action, event.outcome, event.actor.principal) == ("auth.fail", "denied", "anonymous")
    assert event in gateway.sink.durable
    assert "secret" not in str(gateway.sink.events)
    assert "dHNf" not in str(gateway.sink.events)


def test_a_role_that_is_missing_is_403(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get("/files/models/gated/config.json", alice)
    assert answer.status_code == 403
    assert "deploy" in answer.json()["error"]
    (event,) = gateway.events(answer, 1)
    assert (event.action, event.outcome, event.resource.id) == ("access.check", "denied", "models/gated")


@pytest.mark.parametrize(
    "door",
    [
        "/files/models/broken/config.json",
        "/files/models/broken/",
        "/broken/resolve/main/config.json",
        "/api/models/broken",
        "/api/models/broken/tree/main",
    ],
)
def test_a_repository_whose_owners_words_have_a_mistake_is_closed_for_everybody(gateway: RunningGateway, door: str) -> None:
    gateway.put("models/broken/tallystick.json", b'{"role": ["deploy"]}')
    gateway.put("models/broken/config.json", b"{}")
    answer = gateway.get(door, gateway.token("dora", ("deploy",)))
    assert answer.status_code == 403
    assert answer.headers["x-error-code"] == "ClosedRepo"
    assert "models/broken is closed for everybody: its tallystick.json has a mistake" in answer.json()["error"]
    (event,) = gateway.events(answer, 1)
    assert (event.action, event.outcome, event.resource.id) == ("access.check", "denied", "models/broken")
    assert event.why is not None
    assert event.why.policies == ["repo.meta"]
    assert "closed for everybody" in (event.why.text or "")


def test_a_locked_principal_gets_a_sentence_and_an_id_to_quote(gateway: RunningGateway, alice: str) -> None:
    mallory = gateway.token("mallory")
    gateway.lock("principal:mallory", until="2099-01-01T00:00:00.000000Z", reason="Whole model\npulled – ünusual")
    try:
        answer = gateway.get(PATH, mallory)
        assert answer.status_code == 403
        body = answer.json()
        for part in ("principal mallory", "Whole model\\npulled – ünusual", "until 2099-01-01 00:00 UTC", "security team", "cmd-7"):
            assert part in body["error"]
        assert (body["lock"], body["request_id"]) == ("cmd-7", answer.headers["x-request-id"])
        assert body["request_id"] in body["error"]
        assert "Whole model\\npulled" in answer.headers["x-error-message"]
        (event,) = gateway.events(answer, 1)
        assert (event.action, event.outcome, event.resource.part) == ("access.check", "denied", PATH.rpartition("/")[2])
        assert event.attrs is not None
        assert event.attrs["lock"] == "cmd-7"
        assert gateway.get(PATH, alice).status_code == 200
    finally:
        gateway.unlock("principal:mallory")
    assert gateway.get(PATH, mallory).status_code == 200


def test_a_locked_credential_is_denied(gateway: RunningGateway, alice: str) -> None:
    credential = gateway.events(gateway.get(PATH, alice), 2)[0].actor.credential
    gateway.lock(f"credential:{credential}")
    try:
        assert gateway.get(PATH, alice).status_code == 403
    finally:
        gateway.unlock(f"credential:{credential}")


def test_what_is_not_there_is_404_and_an_event(gateway: RunningGateway, alice: str) -> None:
    for path in ("/files/models/nobody/x.bin", "/files/models/acme/big/no.bin", "/nonsense", "/api/models/acme/big/tree/main/no"):
        answer = gateway.get(path, alice)
        assert answer.status_code == 404
        assert gateway.events(answer, 1)[0].outcome == "error"


def test_other_methods_are_refused(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get(PATH, alice, "DELETE")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert gateway.events(answer, 1)[0].outcome == "error"


@pytest.mark.parametrize("failure", [SpoolFull("spool", 1, 1), OSError("No space left on device"), RuntimeError("closed")])
def test_what_cannot_be_recorded_is_not_served(gateway: RunningGateway, alice: str, failure: Exception) -> None:
    gateway.sink.failure = failure
    try:
        for path in (PATH, "/api/models/acme/big", "/files/models/nobody/x"):
            answer = gateway.get(path, alice)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert WEIGHTS[:64] not in answer.content
    finally:
        gateway.sink.failure = None
    assert gateway.get(PATH, alice).status_code == 200


def test_a_long_listing_comes_in_pages_that_link_to_the_next(gateway: RunningGateway, alice: str) -> None:
    names = sorted(f"übung {n:04}.bin" for n in range(1001))
    for name in names:
        gateway.put(f"models/org/pagés/{name}", b"")
    first = gateway.get("/api/models/org/pag%C3%A9s/tree/main?recursive=true", alice)
    link = first.links["next"]["url"]
    assert link.startswith(gateway.url)
    second = gateway.get(link.removeprefix(gateway.url), alice)
    assert [row["path"] for row in first.json() + second.json()] == names
    assert "next" not in second.links


@pytest.mark.parametrize("public_url", ["", "https://models.example.org/hub", "https://models.example.org/hub/"])
def test_links_name_the_public_address_or_the_one_that_was_reached_and_never_the_host_header(tmp_path: Path, public_url: str) -> None:
    with running_gateway(tmp_path, public_url=public_url) as running:
        for n in range(1001):
            running.put(f"models/m/{n:04}.bin", b"")
        answer = running.get("/api/models/m/tree/main", running.token("alice"), headers={"host": "evil.example:1"})
        wanted = public_url.rstrip("/") or running.url
        assert answer.headers["link"] == f'<{wanted}/api/models/m/tree/main?recursive=false&cursor=0999.bin>; rel="next"'


def test_health_needs_no_token_and_is_no_event(gateway: RunningGateway) -> None:
    before = len(gateway.sink.events)
    assert gateway.get("/healthz").json() == {"status": "ok"}
    assert len(gateway.sink.events) == before


def test_a_removed_token_lets_nobody_in(tmp_path: Path) -> None:
    from tallystick_producers.gateway.tokens import parse_tokens, remove_tokens

    with running_gateway(tmp_path) as running:
        token = running.token("bob")
        record = parse_tokens(running.tokens_file.read_bytes()).find(token)
        assert record is not None
        assert remove_tokens(running.tokens_file, record.credential) == 1
        while running.get("/files/", token).status_code != 401:  # the file is looked at twice a second
            pass
