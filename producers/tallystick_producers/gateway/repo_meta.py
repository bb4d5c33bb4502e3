"""`tallystick.json` beside a repository's files: what the owner says about it. Pure; `meta_file` reads it.

    {"sensitivity": "restricted", "version": "3", "collection": "frontier", "canary": ["decoy.safetensors"], "roles": ["deploy", "research"],
     "hidden": true}

It is never served. `roles`: a token needs one of them; without the key, every valid token may read. `hidden`: who has none of the roles is answered as
if there were no such repository; without it, he is told which roles it is for. What cannot be understood may have named roles: it closes the repository
for everybody.
"""

import json
from collections import Counter
from typing import Annotated, Final

import msgspec

from tallystick_schemas.vocabulary import Sensitivity

from .errors import RepoMetaError

META_NAME: Final = "tallystick.json"
MAX_META_BYTES: Final = 256 * 1024
_MAX_SHOWN: Final = 200
_HIDDEN: Final = b"hidden"
_Label = Annotated[str, msgspec.Meta(max_length=1000)]
"""Stands in every event about the repository; one that an event has no room for would keep all of them from being recorded."""


class RepoMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner's words about one repository. No `roles` is another thing than `null`, which says nothing that could be kept to."""

    sensitivity: Sensitivity | None = None
    version: _Label | None = None
    collection: _Label | None = None
    canary: list[str] = []
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    hidden: bool = False


def unusable_meta(*, hidden: bool) -> RepoMeta:
    """What counts while the file cannot be used: the strictest of the labels, and nobody's role, since it may have said so."""
    return RepoMeta(sensitivity="restricted", roles=[], hidden=hidden)


def parse_meta(raw: bytes) -> RepoMeta:
    """The owner's words, or RepoMetaError with what is wrong."""
    try:
        return _parsed(raw)
    except RepoMetaError as error:
        # Of a file with a slip in it, whether the word is there is known; an honest owner does not write it in escapes.
        error.hides = _HIDDEN in raw or len(raw) > MAX_META_BYTES
        raise


def _parsed(raw: bytes) -> RepoMeta:
    if len(raw) > MAX_META_BYTES:
        raise RepoMetaError(f"it has more than {MAX_META_BYTES} bytes")
    try:
        meta = msgspec.json.decode(raw, type=RepoMeta)
        json.loads(raw, object_pairs_hook=_check_once)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RepoMetaError(_showable(str(error))) from error
    if meta.hidden and meta.roles is msgspec.UNSET:
        raise RepoMetaError("it says hidden and names no roles, so there is nobody that it could be hidden from")
    return meta


def _check_once(pairs: list[tuple[str, object]]) -> None:
    """Of a word that is said twice, nobody knows which one is meant."""
    times = Counter(name for name, _ in pairs)
    if twice := [name for name, count in times.items() if count > 1]:
        raise RepoMetaError(f"it says {' and '.join(sorted(twice))} twice")


def _showable(text: str) -> str:
    """A decoder's sentence, which may quote the file, fit for a log: one short line."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)[:_MAX_SHOWN]
