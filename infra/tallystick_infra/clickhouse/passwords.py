"""Who may sign in to the embedded store: of each user's password the server keeps a hash, and compares in constant time."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from .grants import ROLES, Role, role_of


class Passwords:
    """Hashes of the passwords. They are 256 random bits each, so a plain hash cannot be searched."""

    def __init__(self, hashes: Mapping[Role, bytes]) -> None:
        self._hashes = dict(hashes)

    @classmethod
    def read(cls, folder: Path) -> "Passwords":
        """Those of `<role>.password` in `folder`; FileNotFoundError when one is not there."""
        return cls({role: _hash((folder / f"{role}.password").read_text().strip()) for role in ROLES})

    def role(self, user: str, password: str) -> Role | None:
        """Whose password this is, or None. An unknown user takes as long as a known one."""
        role = role_of(user)
        wanted = self._hashes.get(role, b"") if role else b""
        right = hmac.compare_digest(_hash(password), wanted or bytes(32))
        return role if right and wanted else None


def _hash(password: str) -> bytes:
    return sha256(password.encode()).digest()
