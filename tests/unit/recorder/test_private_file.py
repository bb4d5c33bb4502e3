"""Which files may hold a secret: those that nobody else reaches, and those that root lends to a group of ours to read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_infra.deployment.keyfiles import read_secret
from tallystick_infra.errors import UnsafeKeyFile
from tallystick_producers.errors import KeyFileError
from tallystick_producers.gateway.errors import TokenFileError
from tallystick_producers.gateway.token_file import read_tokens
from tallystick_producers.keyfile import load_key, read_private
from tallystick_producers.private_file import open_to_others
from tallystick_stream_jobs.shared_signals.errors import KeyringBroken
from tallystick_stream_jobs.shared_signals.keyfile import ensure_keyring, read_keyring

READERS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "a deployment's secret": (read_secret, UnsafeKeyFile),
    "a broker's password": (read_private, KeyFileError),
    "an agent's key": (load_key, KeyFileError),
    "the gateway's tokens": (read_tokens, TokenFileError),
    "the keys of signals": (read_keyring, KeyringBroken),
}
FIRST, SECOND = 70_001, 70_002


@pytest.fixture
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file that the reader can use but for its mode."""
    made = tmp_path / "secret"
    if request.node.callspec.params.get("reader") == "the keys of signals":
        ensure_keyring(made, 0.0)
    elif request.node.callspec.params.get("reader") == "an agent's key":
        key = Ed25519PrivateKey.generate()
        made.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    else:
        made.touch()
    return made


@pytest.mark.parametrize("mode", [0o440, 0o640])
@pytest.mark.parametrize("reader", READERS)
def test_a_group_of_ours_may_read(path: Path, reader: str, mode: int) -> None:
    path.chmod(mode)
    READERS[reader][0](path)


@pytest.mark.parametrize("mode", [0o440, 0o640])
@pytest.mark.parametrize("reader", READERS)
def test_a_group_of_others_may_not(path: Path, reader: str, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(mode)
    group = path.stat().st_gid
    monkeypatch.setattr(os, "getegid", lambda: group + 1)
    monkeypatch.setattr(os, "getgroups", lambda: [group + 2])
    read, error = READERS[reader]
    with pytest.raises(error, match=f"open to group {group}, which this process is not in"):
        read(path)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o610, 0o660, 0o644, 0o777])
@pytest.mark.parametrize("reader", READERS)
def test_anybody_else_may_nothing_and_a_group_may_not_write(path: Path, reader: str, mode: int) -> None:
    path.chmod(mode)
    read, error = READERS[reader]
    with pytest.raises(error, match=f"open to other users .*chmod 600 {path}"):
        read(path)


def test_every_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supplementary group counts as the first one does; what the owner may does not matter."""
    monkeypatch.setattr(os, "getegid", lambda: FIRST)
    monkeypatch.setattr(os, "getgroups", lambda: [FIRST, SECOND])

    def may(mode: int, group: int) -> bool:
        return open_to_others(Path("x"), os.stat_result((0o100_000 | mode, 0, 0, 1, 0, group, 0, 0, 0, 0))) is None

    for mode in range(0o1000):
        alone, lent = mode & 0o077 == 0, mode & 0o037 == 0
        assert [may(mode, group) for group in (FIRST, SECOND, 0)] == [lent, lent, alone]
