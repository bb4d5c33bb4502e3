"""Parameters in a form (RFC 7578): clients send them so when they are too long for an address.

Cut at the boundary and no further: a reader of mail took 29 s for half a megabyte of one header's parameters.
"""

import re
from typing import Final

from .statements import BadRequest

MAX_VALUE: Final = 128 << 10
"""Bytes, as ClickHouse's `http_max_field_value_size`."""
MAX_FIELDS: Final = 1000
MAX_HEAD: Final = 1024
"""Bytes of a part's headers."""
_TYPE: Final = re.compile(r"multipart/form-data\s*+;\s*+boundary=(?:\"([\w'()+,./:=? -]{1,70})\"|([\w'()+,./:=?-]{1,70}))\s*+", re.I | re.A)
"""RFC 2046, section 5.1.1."""
_DISPOSITION: Final = re.compile(rb"content-disposition:\s*+form-data\s*+;\s*+name=\"([^\"\\]*+)\"\s*+(;.*+)?", re.I | re.S)


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def parse_form(content_type: str, body: bytes) -> dict[str, str]:
    """Name -> value; BadRequest for what is no form, for files (tables sent along), and beyond the limits."""
    found = _TYPE.fullmatch(content_type.strip()) if len(content_type) <= MAX_HEAD else None
    if found is None:
        raise _no_form()
    mark = b"\r\n--" + (found[1] or found[2]).encode()
    before, *parts, after = (b"\r\n" + body).split(mark, MAX_FIELDS + 1) if mark[2:] in body[: len(mark)] else (b"?", b"")
    if before or not parts or after.rstrip() != b"--":
        raise _no_form()
    return dict(map(_field, parts))


def _no_form() -> BadRequest:
    return BadRequest(36, "the body is no form, though its type says so")


def _field(part: bytes) -> tuple[str, str]:
    head, blank, value = part.partition(b"\r\n\r\n")
    if not blank or len(head) > MAX_HEAD:
        raise _no_form()
    described = [found for line in head.split(b"\r\n") if (found := _DISPOSITION.fullmatch(line))]
    if len(described) != 1 or described[0][2]:
        raise BadRequest(48, "tables sent along with a query are not supported here")
    try:
        name, text = described[0][1].decode(), value.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(36, "a field of the form is not UTF-8") from error
    if len(value) > MAX_VALUE:
        raise BadRequest(36, f"the field {name} has {len(value)} bytes; {MAX_VALUE} are the most")
    return name, text
