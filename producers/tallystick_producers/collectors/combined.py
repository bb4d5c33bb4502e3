"""nginx's and Apache's combined access log (and the common one, which lacks referrer and user agent)."""

import re
from typing import Final

from tallystick_schemas.events import Actor, Resource, Source, Usage

from ..errors import LineRefused
from .fields import LogEvent, count_of, location, outcome_of, strings, text_of, time_of, without_secrets

_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
# The user's name may hold spaces; its bound keeps the search linear in a hostile line.
_LINE: Final = re.compile(
    rf"(\S+) \S+ (.{{1,256}}?) \[([^\]]{{1,64}})\] {_QUOTED} (\d{{3}}) (\d+|-)(?: {_QUOTED}(?: {_QUOTED})?)?(?: .*)?", re.ASCII
)
_REQUEST: Final = re.compile(r"([A-Za-z]{1,32}) (\S+)(?: (HTTP/[0-9.]{1,8}))?", re.ASCII)
_ACTIONS: Final = {
    "GET": "artifact.download",
    "PUT": "artifact.upload",
    "DELETE": "artifact.delete",
    "COPY": "artifact.copy",
    "HEAD": "artifact.list",
    "PROPFIND": "artifact.list",
}
"""By method; any other request is known only as a decision about access."""


def parse(line: bytes) -> LogEvent:
    """The event of one line; LineRefused. The principal is the signed-in user, or else the address."""
    found = _LINE.fullmatch(text_of(line))
    if found is None:
        raise LineRefused("not a line of the combined log format")
    address, user, moment, request, status, size, referrer, agent = found.groups()
    method, target, protocol = _request(request)
    path, query = location(target)
    action = _ACTIONS.get(method, "access.check")
    code = int(status)
    sent = count_of(size)
    return LogEvent(
        time=time_of(moment, "%d/%b/%Y:%H:%M:%S %z"),
        action=action,
        actor=Actor(user if user != "-" else address, "human"),
        resource=Resource("artifact" if method else "endpoint", path),
        outcome=outcome_of(code),
        usage=Usage(bytes=sent, objects=1 if action == "artifact.download" and code in (200, 206) else None),
        source=Source(ip=address, user_agent=agent if agent not in (None, "", "-") else None),
        attrs=strings(method=method, status=status, query=query, referrer=without_secrets(referrer or ""), protocol=protocol),
    )


def _request(text: str) -> tuple[str, str, str | None]:
    """Method, target, protocol. What a client sent that was no request is kept whole as the target."""
    found = _REQUEST.fullmatch(text)
    if found is None:
        return "", text or "-", None
    return found[1].upper(), found[2], found[3]
