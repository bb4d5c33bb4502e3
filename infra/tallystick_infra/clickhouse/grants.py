"""The users of the embedded store and what each may do: one table, of which the engine's grants and the server's checks are made. Pure.

A process that is not in it (gateway, shared signals) has no user.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["owner", "notary", "sealer", "detectors", "responder", "outbox", "console", "cli", "auditor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
OWNER: Final[Role] = "owner"
"""May do everything: the supervisor's, for migrations."""
AUDITOR: Final[Role] = "auditor"

_HISTORY: Final = ("ledger_entries", "events", "rejected", "checkpoints", "root_leaves")
_FINDINGS: Final = ("finding_events", "findings", "dispositions", "detector_quality")
"""Views. Whoever reads them needs the tables below them as well: they read as the one who asks."""
TABLES: Final = (*_HISTORY, "notary_snapshots", "schema_versions")
VIEWS: Final = _FINDINGS


@dataclass(frozen=True)
class Grant:
    """What one user may do. `prunes`: tables from which rows may be deleted that no entry of the ledger commits (`asking`)."""

    reads: tuple[str, ...] = ()
    inserts: tuple[str, ...] = ()
    prunes: tuple[str, ...] = ()


_NOTARY: Final = ("ledger_entries", "events", "rejected", "notary_snapshots")
GRANTS: Final[Mapping[Role, Grant]] = {
    "notary": Grant(_NOTARY, _NOTARY, ("events", "rejected")),
    # What it signed, so that an older state of its own is seen, and what the store lost of it is published again.
    "sealer": Grant(("ledger_entries", "checkpoints", "root_leaves"), ("checkpoints", "root_leaves")),
    # What people said about findings, and whether it is stored.
    "detectors": Grant(("ledger_entries", "events")),
    # Its book is rebuilt from signed events; what agents were shown is held against the signed notes.
    "responder": Grant(("ledger_entries", "events", "checkpoints")),
    # Credentials that were minted before a lock; entries prove the events that say so.
    "outbox": Grant(("ledger_entries", "events")),
    "console": Grant(("ledger_entries", "events", "checkpoints")),
    "cli": Grant((*TABLES, *VIEWS)),
    "auditor": Grant((*_HISTORY, *_FINDINGS)),
}


def user_of(role: Role) -> str:
    """The name with which a role signs in to the store."""
    return "tallystick" if role == OWNER else role


def role_of(user: str) -> Role | None:
    """The role of a user of this name, if there is one."""
    return next((role for role in ROLES if user_of(role) == user), None)


def grant_lines(role: Role, database: str) -> Iterator[str]:
    """ClickHouse's GRANT of each privilege of a role in `database`, without its TO."""
    if role == OWNER:
        yield "GRANT ALL ON *.*"
        return
    if role in (AUDITOR, "cli"):
        # Whether somebody hides rows from others: `audit verify` and `doctor` look.
        yield "GRANT SHOW ROW POLICIES ON *.*"
    grant = GRANTS[role]
    for privilege, tables in (("SELECT", grant.reads), ("INSERT", grant.inserts), ("ALTER DELETE", grant.prunes)):
        yield from (f"GRANT {privilege} ON {database}.{table}" for table in tables)
