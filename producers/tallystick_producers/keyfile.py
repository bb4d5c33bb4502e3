"""The agent's private key on disk: PEM, PKCS #8, Ed25519 (RFC 8410), readable by its owner alone."""

import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .errors import KeyFileError


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key, or KeyFileError with what to do."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyFileError(path, f"is open to other users (mode {mode:04o}); run: chmod 600 {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}; `tallystick agent enrol` makes one") from error
    except ValueError as error:
        raise KeyFileError(path, "is not a PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(path, "is not an Ed25519 key")
    return key
