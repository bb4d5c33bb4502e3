"""Names on their way into another system's addresses, and what comes back: one place, for every connector.

A name is somebody else's text. In a path it is one segment and never a way (RFC 3986, 3.3); in a query or form it is one value. JSON bodies need
nothing of this: their encoder quotes. What is found under a name must be called so, or nothing is done to it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

from tallystick_schemas.names import canonical

from ..responder.names import flaw_of
from .errors import Refused

MAX_NAME: Final = 1_024
"""Code points: longer than any name that these systems take, and short enough for every server's request line."""
_ANY_SLASH: Final = re.compile(r"[/\\]")


def checked(name: str) -> str:
    """The name as it is; Refused for one that can name nobody: empty, invisible, endless, or with characters that steer (flaw_of)."""
    flaw = flaw_of(name) or (f"the name {name[:100]!r}… has {len(name):,} characters" if len(name) > MAX_NAME else "")
    if not flaw and any("\ud800" <= char <= "\udfff" for char in name):
        flaw = f"the name {name[:100]!r} is not Unicode"
    if flaw:
        raise Refused(f"{flaw}, so nobody can be called so; nothing was asked for")
    return name


def segment(name: str) -> str:
    """The name as one segment of a path; Refused as `checked`, and for dot segments.

    Those in between are refused too (`a/../b`): servers and proxies that decode before they split would walk them.
    """
    if {".", ".."} & set(_ANY_SLASH.split(checked(name))):
        raise Refused(f"the name {name!r} holds a step to another path, so nobody can be called so; nothing was asked for")
    return quote(name, safe="")


def query(fields: Mapping[str, str]) -> str:
    """Fields with names as a query (application/x-www-form-urlencoded); Refused as `checked` for their values."""
    return form({name: checked(value) for name, value in fields.items()}).decode()


def form(fields: Mapping[str, str]) -> bytes:
    """Our own values as a form's body. They may be secrets, which no refusal may show: nothing is looked at."""
    return urlencode(fields).encode()


def must_be(asked: str, found: Iterable[object], where: str, *, any_case: bool = False) -> None:
    """Refused unless one of the names that came back is the one that was asked for. `any_case`: the system there knows no case."""
    names = [name for name in found if isinstance(name, str)]
    if _form(asked, any_case) not in {_form(name, any_case) for name in names}:
        said = ", ".join(repr(name[:100]) for name in names) or "nothing that has a name"
        raise Refused(f"{where} was asked for {asked[:100]!r} and answered with {said}; nothing was done to it")


def _form(name: str, any_case: bool) -> str:
    return canonical(name).casefold() if any_case else canonical(name)
