"""`tallystick.json` beside a repository's files: what the owner says about it.

    {"sensitivity": "restricted", "version": "3", "collection": "frontier", "canary": ["decoy.safetensors"], "roles": ["deploy", "research"]}

It is never served. `roles`: a token needs one of them; without the key, every valid token may read.
"""

from typing import Final

import msgspec

from tallystick_schemas.vocabulary import Sensitivity

META_NAME: Final = "tallystick.json"


class RepoMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner's words about one repository; `problem` is ours, when the file cannot be read."""

    sensitivity: Sensitivity | None = None
    version: str | None = None
    collection: str | None = None
    canary: list[str] = []
    roles: list[str] | None = None


UNREADABLE_META: Final = RepoMeta(sensitivity="restricted")
"""What counts while the file cannot be read: the strictest of the labels, since it may have said so."""


def parse_meta(raw: bytes) -> RepoMeta | None:
    """The owner's words, or None where they cannot be read."""
    try:
        return msgspec.json.decode(raw, type=RepoMeta)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
