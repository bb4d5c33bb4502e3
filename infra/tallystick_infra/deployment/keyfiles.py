"""Keys and secrets on disk: made once, readable by their owner alone, refused when others can reach them (`private_file`)."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_producers.private_file import open_to_others
from tallystick_schemas.keys import key_id

from ..errors import UnsafeKeyFile


def write_secret(path: Path, content: bytes) -> None:
    """A new file with mode 0600; FileExistsError when there is one: a key is never overwritten."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def replace_secret(path: Path, content: bytes) -> None:
    """The file with this content and mode 0600, in one step, whatever was there."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    write_secret(temporary, content)
    temporary.replace(path)


def file_name(agent: str) -> str:
    """A name for an agent's files: agent names may hold slashes and colons, file names here do not."""
    return "".join(c if c.isalnum() or c in "._@-" else f"%{ord(c):02x}" for c in agent).lstrip(".") or "%2e"


def read_secret(path: Path) -> bytes:
    """The content; UnsafeKeyFile when the file is missing or other users could read it."""
    try:
        with path.open("rb") as file:
            if (trouble := open_to_others(path, os.fstat(file.fileno()))) is not None:
                raise UnsafeKeyFile(path, trouble)
            return file.read()
    except OSError as error:
        raise UnsafeKeyFile(path, f"cannot be read: {error.strerror}") from error


def make_key(path: Path) -> bytes:
    """The 32 raw bytes of the public key; the private key is made when there is none (PEM, PKCS #8, RFC 8410)."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_secret(path, pem)
    return read_key(path).public_key().public_bytes_raw()


def kept_beside(path: Path) -> Path:
    """Where an agent's key file stays when another takes its place: beside it, by its key id, until somebody deletes it."""
    return path.with_name(f"{path.stem}.{key_id(make_key(path))}.key")


def read_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key; UnsafeKeyFile when it is something else, or open to others."""
    try:
        key = serialization.load_pem_private_key(read_secret(path), password=None)
    except ValueError as error:
        raise UnsafeKeyFile(path, "is not a PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnsafeKeyFile(path, "is not an Ed25519 key")
    return key


def random_secret() -> bytes:
    """256 random bits as text."""
    return secrets.token_urlsafe(32).encode()


def make_secret(path: Path) -> str:
    """A random secret's text; made when there is none."""
    if not path.exists():
        write_secret(path, random_secret())
    return read_secret(path).decode().strip()
