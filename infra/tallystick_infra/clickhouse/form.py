"""Parameters in a form (RFC 7578): clients send them so when they are too long for an address."""

from email import policy
from email.parser import BytesParser
from typing import Final

from .statements import BadRequest

MAX_VALUE: Final = 128 << 10
"""Bytes, as ClickHouse's `http_max_field_value_size`."""
_MAX_FIELDS: Final = 1000


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def parse_form(content_type: str, body: bytes) -> dict[str, str]:
    """Name -> value; BadRequest for what is no form, for files (tables sent along), and beyond the limits."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    form = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    parts = list(form.iter_parts()) if form.is_multipart() else []
    if form.defects or not parts or len(parts) > _MAX_FIELDS:
        raise BadRequest(36, "the body is no form, though its type says so")
    fields: dict[str, str] = {}
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(value, bytes) or part.get_filename() is not None:
            raise BadRequest(48, "tables sent along with a query are not supported here")
        if len(value) > MAX_VALUE:
            raise BadRequest(36, f"the field {name} has {len(value)} bytes; {MAX_VALUE} are the most")
        try:
            fields[name] = value.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(36, f"the field {name} is not UTF-8") from error
    return fields
