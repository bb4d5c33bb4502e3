"""From the bytes of a request path to what it asks for. Pure, and strict: what is not plainly one of our paths is refused.

    /healthz
    /.well-known/tallystick/probe                                           whether somebody would get in (see probe)
    /files/<models|datasets>/<repo>/<path>                                  plain HTTP; ending in a folder: its listing
    /api/<models|datasets>/<repo>[/revision/<rev>]                          Hub: what a repository holds
    /api/<models|datasets>/<repo>/tree/<rev>[/<path>]                       Hub: listing, paged
    /api/<models|datasets>/<repo>/paths-info/<rev>                          Hub: facts about named paths (POST)
    /[datasets/]<repo>/resolve/<rev>/<path>                                 Hub: one file

A path is decoded once and only once: `%252e%252e` names a file called `%2e%2e`, which does not exist.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from .errors import bad_request, not_found

Door = Literal["health", "probe", "files", "info", "tree", "paths", "resolve"]
Kind = Literal["model", "dataset"]
KINDS: Final[dict[str, Kind]] = {"models": "model", "datasets": "dataset"}
DEFAULT_REVISION: Final = "main"
MAX_PATH: Final = 4096
_MAX_NAME: Final = 255
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_API_VERBS: Final[dict[str, Door]] = {"revision": "info", "tree": "tree", "paths-info": "paths"}
_NO_DOOR: Final = (
    "There is nothing at this path. Files are at /files/models/… and /files/datasets/…; Hub clients use this address as HF_ENDPOINT."
)


@dataclass(frozen=True)
class Route:
    """What a path asks for. `names` are the decoded segments after the kind for the files door; for Hub doors `repo` is known from the path alone."""

    door: Door
    kind: Kind | None = None
    repo: str = ""
    rev: str | None = None
    names: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The names as one path inside the repository."""
        return "/".join(self.names)


def parse_route(raw_path: bytes) -> Route:
    """The route of a raw (still percent-encoded) path, or Refusal."""
    if len(raw_path) > MAX_PATH:
        raise bad_request(f"The path has {len(raw_path)} bytes; at most {MAX_PATH} are allowed.")
    segments = raw_path.split(b"/")[1:]
    names = tuple(_decoded(segment) for segment in segments[:-1]) + ((_decoded(segments[-1]),) if segments and segments[-1] else ())
    if names == ("healthz",):
        return Route("health")
    if names == (".well-known", "tallystick", "probe"):
        return Route("probe")
    if names and names[0] == "files":
        return _files(_plain(names[1:]))
    if names and names[0] == "api":
        return _api(names[1:])
    return _resolve(names)


def _decoded(segment: bytes) -> str:
    if _BROKEN_ESCAPE.search(segment):
        raise bad_request("The path holds a % that is no escape.")
    try:
        name = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_request("The path is not UTF-8.") from error
    if name in ("", ".", ".."):
        raise bad_request("The path holds an empty, . or .. segment.")
    if "\\" in name or any(ord(char) < 0x20 or ord(char) == 0x7F for char in name):
        raise bad_request("The path holds a backslash or a control character.")
    return name


def _plain(names: tuple[str, ...]) -> tuple[str, ...]:
    """File names: a slash that came in encoded would be a second way to write a path."""
    if any("/" in name for name in names):
        raise bad_request("The path holds an encoded slash.")
    if any(len(name.encode()) > _MAX_NAME for name in names):
        raise bad_request(f"The path holds a name of more than {_MAX_NAME} bytes.")
    return names


def _files(names: tuple[str, ...]) -> Route:
    if not names:
        return Route("files")
    if names[0] not in KINDS:
        raise not_found("EntryNotFound", _NO_DOOR)
    return Route("files", KINDS[names[0]], names=names[1:])


def _api(names: tuple[str, ...]) -> Route:
    if len(names) < 2 or names[0] not in KINDS:
        raise not_found("EntryNotFound", _NO_DOOR)
    kind, rest = KINDS[names[0]], names[1:]
    for at in (1, 2):
        if len(rest) > at + 1 and rest[at] in _API_VERBS:
            door = _API_VERBS[rest[at]]
            return Route(door, kind, _repo(rest[:at]), rest[at + 1], _plain(rest[at + 2 :]))
    if len(rest) <= 2:
        return Route("info", kind, _repo(rest), DEFAULT_REVISION)
    raise not_found("EntryNotFound", _NO_DOOR)


def _resolve(names: tuple[str, ...]) -> Route:
    kind: Kind = "model"
    if names and names[0] in KINDS:
        kind, names = KINDS[names[0]], names[1:]
    for at in (1, 2):
        if len(names) > at + 2 and names[at] == "resolve":
            return Route("resolve", kind, _repo(names[:at]), names[at + 1], _plain(names[at + 2 :]))
    raise not_found("EntryNotFound", _NO_DOOR)


def _repo(names: tuple[str, ...]) -> str:
    return "/".join(_plain(names))
