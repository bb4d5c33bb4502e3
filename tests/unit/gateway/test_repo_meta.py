"""`tallystick.json`: what the owner says about a repository, and that a mistake in it closes the repository and is told."""

import asyncio
import contextlib
import errno
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from tests.support.logs import ours

from tallystick_infra.cli.doctor_here import repositories
from tallystick_infra.deployment import Deployment
from tallystick_producers.gateway.catalog import Catalog
from tallystick_producers.gateway.errors import RepoMetaError
from tallystick_producers.gateway.folder_store import FolderStore, Repo
from tallystick_producers.gateway.meta_file import read_meta
from tallystick_producers.gateway.repo_meta import MAX_META_BYTES, RepoMeta, parse_meta

REPO = Repo("model", "m")
GOOD = b'{"sensitivity": "restricted", "roles": ["deploy"]}'
MISTAKES = {
    "no closing brace": (b'{"sensitivity":"restricted","roles":["deploy"]', "truncated"),
    "roles is a word": (b'{"roles":"deploy"}', "roles"),
    "roles is null": (b'{"roles":null}', "roles"),
    "another key": (b'{"role":["deploy"]}', "`role`"),
    "another word": (b'{"sensitivity":"restrictd"}', "restrictd"),
    "a number": (b'{"version":3}', "version"),
    "no object": (b"[]", "object"),
    "nothing": (b"", "truncated"),
    "no UTF-8": (b'{"roles":["\xff"]}', "utf-8"),
    "too long a label": (b'{"version":"' + b"3" * 1001 + b'"}', "version"),
    "said twice": (b'{"roles":["deploy"],"sensitivity":"internal","roles":["everybody"]}', "says roles twice"),
    "too large": (b'{"canary":["' + b"a" * MAX_META_BYTES + b'"]}', f"more than {MAX_META_BYTES} bytes"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models/m").mkdir(parents=True)
    (tmp_path / "models/m/a.bin").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(("raw", "why"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_a_sentence_with_the_file_and_the_strictest_of_labels(root: Path, raw: bytes, why: str) -> None:
    path = root / "models/m/tallystick.json"
    path.write_bytes(raw)
    with pytest.raises(RepoMetaError, match=why) as error:
        read_meta(path)
    assert str(path) in str(error.value)
    manifest = FolderStore(root).scan(REPO)
    assert manifest.fault == str(error.value)
    assert (manifest.meta.sensitivity, manifest.meta.roles) == ("restricted", [])


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda raw: b'{"roles":' + raw))
def test_any_bytes_are_the_owners_words_or_the_one_error(raw: bytes) -> None:
    with contextlib.suppress(RepoMetaError):
        assert isinstance(parse_meta(raw), RepoMeta)


def test_what_the_owner_leaves_out_is_open(root: Path) -> None:
    path = root / "models/m/tallystick.json"
    assert read_meta(path) == RepoMeta()
    assert parse_meta(b'{"sensitivity": null}').roles is UNSET
    path.write_bytes(GOOD)
    assert read_meta(path).roles == ["deploy"]
    assert FolderStore(root).scan(REPO).fault == ""


def test_what_is_no_readable_file_is_a_mistake_too(root: Path) -> None:
    path = root / "models/m/tallystick.json"
    path.symlink_to(root / "nowhere")
    with pytest.raises(RepoMetaError, match="link to nowhere"):
        read_meta(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RepoMetaError, match=r"directory|regular"):
        read_meta(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(RepoMetaError, match="not a regular file"):
        read_meta(path)


def test_a_file_that_may_not_be_read_is_a_mistake_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal is a stand-in: root, as whom tests may run, is refused nothing."""
    path = root / "models/m/tallystick.json"
    path.write_bytes(GOOD)

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RepoMetaError, match="Permission denied"):
        read_meta(path)


def test_the_log_names_the_file_once_a_state_of_it(root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_producers.gateway.catalog._KEEP_S", 0.0)
    path, catalog = root / "models/m/tallystick.json", Catalog(FolderStore(root))

    def said() -> list[str]:
        caplog.clear()
        for _ in range(3):
            asyncio.run(catalog.listing(REPO))
        return [record.message for record in ours(caplog) if record.levelno >= logging.WARNING]

    assert said() == []
    path.write_bytes(b'{"role":["deploy"]}')
    (line,) = said()
    assert line.startswith(f"{path} cannot be used: ")
    assert "`role`" in line
    assert "closed for everybody" in line
    assert said() == []
    path.write_bytes(b'{"roles":"deploy" }')
    (line,) = said()
    assert "roles" in line
    path.write_bytes(GOOD)
    (line,) = said()
    assert "no mistake any more" in line
    assert said() == []


def test_doctor_names_each_file_with_a_mistake(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    artifacts = Path(deployment.gateway().root)
    for name in ("models/good", "models/acme/bad", "datasets/worse"):
        (artifacts / name).mkdir(parents=True)
        (artifacts / name / "tallystick.json").write_bytes(GOOD)
    assert [(check.ok, check.seen) for check in repositories(deployment)] == [(True, "3 in artifacts")]
    (artifacts / "models/acme/bad/tallystick.json").write_bytes(b'{"role":["deploy"]}')
    (artifacts / "datasets/worse/tallystick.json").write_bytes(b"{")
    (check,) = repositories(deployment)
    assert not check.ok
    assert check.seen.startswith("2 of 3 repositories are closed for everybody: ")
    assert str(artifacts / "models/acme/bad/tallystick.json") in check.seen
    assert str(artifacts / "datasets/worse/tallystick.json") in check.seen
    assert "`role`" in check.seen
