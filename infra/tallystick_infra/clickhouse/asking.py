"""What a user of the embedded server may ask, beside what the engine's grants say. Pure.

The engine checks every table against its grants. This is the wall before it, for what grants do not cover: statements of another kind (SET ROLE
above all), a second statement behind the first, changed settings, files of this machine, what other users are doing. It is coarse on purpose: it
looks for words in the whole text, strings and comments as well, so that no second reading of SQL's quoting is needed. Texts go in as parameters.
"""

import re
from dataclasses import replace
from typing import Final

from .grants import GRANTS, Grant, Role, user_of
from .statements import BadRequest, Statement

READONLY: Final = 164
_DENIED: Final = 497
MEND: Final = "docs/operator.md, 'Users of the embedded store', says what each user may do"
LIMITS: Final = frozenset(
    [
        "max_threads",
        "max_block_size",
        "max_execution_time",
        "max_memory_usage",
        "max_rows_to_read",
        "max_bytes_to_read",
        "max_result_rows",
        "max_result_bytes",
        "optimize_read_in_order",
        "output_format_json_quote_64bit_integers",
        "async_insert",
        "insert_deduplicate",
        "cast_string_to_dynamic_use_inference",  # the official client sends it along with everything
    ]
)
"""Settings that a user may choose, as numbers. Most others are harmless; some open the machine (`allow_experimental_eval_table_function`, `dialect`)."""
_FORMATS: Final = frozenset(["Native", "RowBinary"])
"""Of inserts. `Values` would compute expressions, others read schema files."""
_EITHER: Final = " or ".join(sorted(_FORMATS))

# As in `statements`, nothing is given back once it is taken.
_NAME = r"(?:\w++|`\w++`|\"\w++\")"
_TABLE = rf"(?:(?P<database>{_NAME})\.)?(?P<table>{_NAME})"
_TARGET: Final = re.compile(rf"\s*+{_TABLE}\s*+(?P<columns>\(\s*+{_NAME}(?:\s*+,\s*+{_NAME})*+\s*+\))?\s*+", re.A)
_SELECT: Final = re.compile(r"\s*+\(?\s*+(?:SELECT|WITH)\b", re.I | re.A)
_LOOK: Final = re.compile(rf"\s*+(?:DESCRIBE|DESC|EXISTS)\s++(?:TABLE\s++)?{_NAME}(?:\.{_NAME})?\s*+(?:FORMAT\s++\w++\s*+)?", re.I | re.A)
_PRUNE: Final = re.compile(r"DELETE FROM (?P<table>\w+) WHERE shard = \{shard:UInt32\} AND index > \{above:Int64\}", re.A)
"""The notary's own words (`ClickHouseLedger.drop_orphans`), and no others."""
_NUMBER: Final = re.compile(r"\d{1,19}", re.A)
_LIMIT = rf"(?:{'|'.join(sorted(LIMITS))})\s*+=\s*+\d{{1,19}}+"
_LIMITS_AT_END: Final = re.compile(rf"\bSETTINGS\s++{_LIMIT}(?:\s*+,\s*+{_LIMIT})*+\s*+(?:FORMAT\s++\w++\s*+)?\Z", re.I | re.A)
_SYSTEM_TABLES = "settings|databases|tables|columns|functions|data_type_families|formats|one|numbers|time_zones|row_policies"
# `file` reads any file of this machine, and may be called through an Identifier parameter or spelled with escapes; INTO OUTFILE writes one;
# `python` and `arrowstream` look into the server's process, `eval` runs a text; other tables of `system` show the machine and other users' queries.
_REACHES_OUT: Final = re.compile(
    rf"\b(file|outfile|python|arrowstream|identifier|eval)\b|(?<!\bsystem\.)\b(settings)\b|\b(system)\b(?!\.(?:{_SYSTEM_TABLES})\b)|(\\)|(;)",
    re.I | re.A,
)


COMMITTED: Final = "SELECT count() FROM ledger_entries WHERE shard = {shard:UInt32} AND index > {above:Int64}"
"""Must be 0 before rows above `above` are pruned: those are of no entry, and any other row is for good."""


def checked(role: Role, database: str, asked_database: str, statement: Statement) -> Statement:
    """What the engine shall run for `role`, on `database` alone; BadRequest with ClickHouse's code unless it may be asked."""
    grant = GRANTS[role]
    if asked_database not in ("", "default", database):
        raise BadRequest(_DENIED, f"{user_of(role)}: Not enough privileges: the database is {database}, not {asked_database[:100]}; {MEND}")
    for name, value in statement.settings.items():
        if name not in LIMITS or not _NUMBER.fullmatch(value):
            raise BadRequest(READONLY, f"{_refused(role)}: setting {name} cannot be changed; numbers for {', '.join(sorted(LIMITS))} can")
    if statement.data is not None:
        return _insert(role, grant, database, statement)
    if prune := _PRUNE.fullmatch(statement.text):
        return _may(role, "DELETE", f"{database}.{prune['table']}", prune["table"] in grant.prunes, statement)
    if not (_SELECT.match(statement.text) or _LOOK.fullmatch(statement.text)):
        inserts = f", and INSERT FORMAT {_EITHER} into {', '.join(grant.inserts)}" if grant.inserts else ""
        raise BadRequest(READONLY, f"{_refused(role)}: SELECT, EXISTS and DESCRIBE of a table are allowed{inserts}; {MEND}")
    if found := _REACHES_OUT.search(_LIMITS_AT_END.sub("", statement.text)):
        raise BadRequest(READONLY, f"{_refused(role)}: {found.group(0)!r} may not stand in it; give texts as parameters")
    return statement


def _insert(role: Role, grant: Grant, database: str, statement: Statement) -> Statement:
    """The same with a table's name that can be read in one way alone."""
    target = _TARGET.fullmatch(statement.text)
    if target is None or statement.format not in _FORMATS:
        raise BadRequest(READONLY, f"{_refused(role)}: an INSERT has the form INSERT INTO table (columns) FORMAT {_EITHER}; {MEND}")
    name, table = _plain(target["database"] or database), _plain(target["table"])
    _may(role, "INSERT", f"{name}.{table}", name == database and table in grant.inserts, statement)
    return replace(statement, text=f"`{database}`.`{table}` {target['columns'] or ''}")


def _may(role: Role, privilege: str, table: str, granted: bool, statement: Statement) -> Statement:
    if not granted:
        raise BadRequest(_DENIED, f"{user_of(role)}: Not enough privileges: {privilege} ON {table} is not granted; {MEND}")
    return statement


def _refused(role: Role) -> str:
    return f"{user_of(role)}: Cannot execute query in readonly mode"


def _plain(name: str) -> str:
    return name.strip('`"')
