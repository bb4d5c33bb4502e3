"""A repository that its owner hides is answered, to whom it is not for, as one that is not there; the history knows which it was."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.gateway import RunningGateway, running_gateway

from tallystick_producers.gateway import folder_store

DOORS = {
    "file": ("GET", "/files/models/{}/config.json"),
    "file of a folder": ("GET", "/files/models/{}/sub/x.bin"),
    "no file": ("GET", "/files/models/{}/none.bin"),
    "head": ("HEAD", "/files/models/{}/config.json"),
    "folder": ("GET", "/files/models/{}/"),
    "resolve": ("GET", "/{}/resolve/main/config.json"),
    "head of resolve": ("HEAD", "/{}/resolve/main/config.json"),
    "another revision": ("GET", "/{}/resolve/v2/config.json"),
    "info": ("GET", "/api/models/{}"),
    "info of another revision": ("GET", "/api/models/{}/revision/v2"),
    "tree": ("GET", "/api/models/{}/tree/main"),
    "no folder": ("GET", "/api/models/{}/tree/main/none"),
    "paths": ("POST", "/api/models/{}/paths-info/main"),
    "another method": ("DELETE", "/{}/resolve/main/config.json"),
}
HIDDEN = b'{"roles": ["deploy"], "hidden": true}'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        for repo in ("ghost", "acme/ghost"):
            running.put(f"models/{repo}/config.json", b"{}")
            running.put(f"models/{repo}/sub/x.bin", b"x")
        running.put("models/acme/open/config.json", b"{}")
        yield running


def told(answer: httpx.Response, name: str) -> tuple[object, ...]:
    """All that a client is told, but for the name that it asked for, the id of its request, and the time."""
    quoted = (name, name.replace("/", "%2F"), answer.headers["x-request-id"])

    def plain(text: str) -> str:
        for one in quoted:
            text = text.replace(one, "…")
        return text

    headers = [(key, plain(value)) for key, value in answer.headers.multi_items() if key not in ("date", "content-length")]
    return answer.status_code, headers, plain(answer.text)


@pytest.mark.parametrize(("method", "path"), DOORS.values(), ids=DOORS.keys())
@pytest.mark.parametrize(("hidden", "missing"), [("ghost", "gxxxx"), ("acme/ghost", "acme/gxxxx")])
def test_hidden_and_missing_are_answered_alike(gateway: RunningGateway, hidden: str, missing: str, method: str, path: str) -> None:
    gateway.put(f"models/{hidden}/tallystick.json", HIDDEN)
    eve = gateway.token("eve", ("intern",))
    seen = gateway.get(path.format(hidden), eve, method)
    nothing = gateway.get(path.format(missing), eve, method)
    assert told(seen, hidden) == told(nothing, missing)
    assert len(seen.content) - len(nothing.content) == seen.text.count(hidden) * (len(hidden) - len(missing))
    (event,) = gateway.events(seen, 1)
    if method != "DELETE":
        assert seen.status_code == 404
        assert (event.outcome, event.resource.id, event.why and event.why.policies) == ("denied", f"models/{hidden}", ["repo.roles"])
        assert event.attrs is not None
        assert event.attrs["status"] == "403"


def test_whom_it_is_for_sees_it_as_any_other(gateway: RunningGateway) -> None:
    gateway.put("models/ghost/tallystick.json", HIDDEN)
    dora = gateway.token("dora", ("deploy",))
    assert gateway.get("/files/models/ghost/config.json", dora).content == b"{}"
    assert gateway.get("/ghost/resolve/v2/config.json", dora).headers["x-error-code"] == "RevisionNotFound"
    assert gateway.get("/files/models/ghost/none.bin", dora).headers["x-error-code"] == "EntryNotFound"


def test_without_the_word_the_roles_are_named_as_before(gateway: RunningGateway) -> None:
    gateway.put("models/gated/tallystick.json", b'{"roles": ["deploy"]}')
    gateway.put("models/gated/config.json", b"{}")
    answer = gateway.get("/gated/resolve/v2/config.json", gateway.token("eve", ("intern",)))
    assert (answer.status_code, answer.headers["x-error-code"]) == (403, "GatedRepo")
    assert "for the roles deploy" in answer.json()["error"]
    assert "stands at" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b'{"roles": ["deploy"], "hidden": true', 404),  # a slip
        (b'{"roles": ["deploy"], "hidden": "yes"}', 404),
        (b'{"hidden": true}', 404),  # hidden from nobody that is named
        (b'{"canary": ["' + b"a" * 262_144 + b'"]}', 404),  # too long to be looked through
        (b'{"roles": "deploy"}', 403),
    ],
)
def test_a_mistake_in_the_owners_words_does_not_unhide(gateway: RunningGateway, words: bytes, status: int) -> None:
    name = f"slip{len(words)}"
    gateway.put(f"models/{name}/config.json", b"{}")
    gateway.put(f"models/{name}/tallystick.json", words)
    answer = gateway.get(f"/files/models/{name}/config.json", gateway.token("dora", ("deploy",)))
    assert answer.status_code == status
    assert (name in answer.text) == (status == 403)
    (event,) = gateway.events(answer, 1)
    assert (event.why and event.why.policies) == ["repo.meta"]


def test_one_that_holds_too_many_files_is_hidden_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_store, "MAX_FILES", 2)
    with running_gateway(tmp_path) as running:
        for name in ("ghost", "plain"):
            for n in range(3):
                running.put(f"models/{name}/{n}.bin", b"x")
        running.put("models/ghost/tallystick.json", HIDDEN)
        eve = running.token("eve")
        assert running.get("/files/models/plain/1.bin", eve).status_code == 503
        answer = running.get("/files/models/ghost/1.bin", eve)
        assert told(answer, "ghost") == told(running.get("/files/models/other/1.bin", eve), "other")
