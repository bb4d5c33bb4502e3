"""The agent's private key on disk: PEM, PKCS #8, Ed25519 (RFC 8410), readable by nobody else."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .errors import KeyFileError
from .private_file import open_to_others


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key, or KeyFileError with what to do."""
    pem = read_private(path)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise KeyFileError(path, "is protected by a password; an agent starts alone: store it without, mode 0600") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(path, "is not a PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(path, "is not an Ed25519 key")
    return key


def read_private(path: Path) -> bytes:
    """The bytes of the file whose mode was checked: one open, so that it cannot be exchanged in between."""
    try:
        with path.open("rb") as file:
            if (trouble := open_to_others(path, os.fstat(file.fileno()))) is not None:
                raise KeyFileError(path, trouble)
            return file.read()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}; `tallystick agent enrol` makes one") from error
