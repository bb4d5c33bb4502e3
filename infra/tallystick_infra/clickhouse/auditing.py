"""What the auditor of an embedded server may ask. Pure.

The engine has no users. Two fences stand instead: connections of their own on which the engine itself is readonly (`AUDITOR_SESSION`), which
refuses writes, table functions and changed settings; and this one, for what readonly lets through. Those are few, and the check is coarse on
purpose: it looks for words in the whole text, strings and comments as well, so that no second reading of SQL's quoting is needed.
"""

import re
from typing import Final

from .statements import BadRequest, Statement

AUDITOR: Final = "auditor"
READONLY: Final = 164
AUDITOR_SETTINGS: Final = {"max_block_size": "4096", "max_threads": "1", "optimize_read_in_order": "1"}
"""Those that `audit verify` asks for. A readonly session refuses a setting unless it has that value already."""
AUDITOR_SESSION: Final = (*(f"SET {name} = {value}" for name, value in AUDITOR_SETTINGS.items()), "SET readonly = 1")

_NAME = r"(?:\w+|`\w+`|\"\w+\")"
_SELECT: Final = re.compile(r"\s*\(?\s*(?:SELECT|WITH)\b", re.I | re.A)
_LOOK: Final = re.compile(
    rf"\s*(?:DESC|DESCRIBE|EXISTS)\s+(?:TABLE\s+)?{_NAME}(?:\.{_NAME})?\s*(?:FORMAT\s+\w+\s*)?(?:SETTINGS\s.*)?", re.I | re.A
)
# `file` reads any file of this machine, and may be called through an Identifier parameter or spelled with escapes; INTO OUTFILE writes one;
# `Python` looks into this process.
_REACHES_OUT: Final = re.compile(r"\b(file|outfile|python|identifier)\b|(\\)", re.I | re.A)


def check_auditor(statement: Statement) -> None:
    """BadRequest with ClickHouse's code for readonly, unless it is SELECT, EXISTS or DESCRIBE and reaches nothing but tables."""
    sql = statement.sql
    if statement.data is not None or not (_SELECT.match(sql) or _LOOK.fullmatch(sql)):
        raise BadRequest(READONLY, f"{AUDITOR}: Cannot execute query in readonly mode: SELECT, EXISTS and DESCRIBE of a table are allowed")
    if found := _REACHES_OUT.search(sql):
        word = found.group(0)
        raise BadRequest(
            READONLY, f"{AUDITOR}: Cannot execute query in readonly mode: {word!r} may not stand in it; give texts as parameters"
        )
