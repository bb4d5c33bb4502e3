"""Conditional requests (RFC 9110, section 13), in the order of 13.2.2. Pure; all our entity tags are strong."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def evaluate(headers: Mapping[str, str], tag: str, modified: int) -> HTTPStatus:
    """OK, NOT_MODIFIED or PRECONDITION_FAILED for GET and HEAD. `tag` without quotes, `modified` in whole Unix seconds."""
    if (match := headers.get("if-match")) is not None:  # steps 1 and 2
        if not _matches(match, tag, strong=True):
            return HTTPStatus.PRECONDITION_FAILED
    elif (limit := _seconds(headers.get("if-unmodified-since"))) is not None and modified > limit:
        return HTTPStatus.PRECONDITION_FAILED
    if (none_match := headers.get("if-none-match")) is not None:  # steps 3 and 4
        return HTTPStatus.NOT_MODIFIED if _matches(none_match, tag, strong=False) else HTTPStatus.OK
    if (since := _seconds(headers.get("if-modified-since"))) is not None and modified <= since:
        return HTTPStatus.NOT_MODIFIED
    return HTTPStatus.OK


def range_applies(headers: Mapping[str, str], tag: str, modified: int) -> bool:
    """Step 5, If-Range: a date counts only when it is exactly Last-Modified, a tag only when it is strong (13.1.5)."""
    value = headers.get("if-range")
    if value is None:
        return True
    if value.lstrip().startswith(('"', "W/")):
        return _matches(value, tag, strong=True)
    return _seconds(value) == modified


def _matches(value: str, tag: str, *, strong: bool) -> bool:
    if value.strip() == "*":
        return True
    return any(opaque == tag and not (strong and weak) for weak, opaque in _TAG.findall(value))


def _seconds(value: str | None) -> int | None:
    """Unix seconds of an HTTP date; None where there is none or it is no date, which 13.1.3 says to ignore."""
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
