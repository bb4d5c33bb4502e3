"""Which guards hold which cell. `test_guards.py` takes each out and sees the cell fail; the page names them."""

from typing import Final

from . import guards_doors as doors
from . import guards_history as history
from . import guards_jobs as jobs
from . import guards_verifier as verifier
from .cells import Attack
from .guards import Way
from .guards_envelope import BODY, DEPLOYMENT, KEY, NUMBER, ROLE, SIGNATURE, SPOKEN, UNSIGNED

Ways = tuple[Way, ...]
_NUMBER: Final = ((NUMBER,),)
_DEPLOYMENT: Final = ((DEPLOYMENT,),)
_OWNED: Final = ((jobs.OWNER, NUMBER),)
_LARGEST: Final = ((history.LARGEST,),)
_REFOLDED: Final = ((history.REFOLDED,),)
_TOKEN: Final = ((history.KNOWN_TOKEN,),)
_ROOTS: Final = ((verifier.ROOT_NOTE, verifier.ROOT_LOG),)
_ANEW: Final = ((history.BEHIND, history.AHEAD, history.KEPT, *_ROOTS[0]),)
_BEHIND: Final = ((history.BEHIND,),)
_ROOT_LOG: Final = ((verifier.ROOT_LOG,),)
_SHARD: Final = ((verifier.SHARD,),)
_EVENTS: Final = ((verifier.EVENTS,),)
_FOLD: Final = ((verifier.FOLD,),)

HELD: Final[dict[str, dict[Attack, Ways]]] = {
    "events": {
        "forge": ((history.ENROLLED,), (history.SEGMENT_SIGNATURE,), (history.MALFORMED,)),
        "replay": ((history.SEEN,),),
        "roll back": ((history.SEEN,),),
        "reorder": ((history.GAPS,),),
        "drop": ((history.GAPS,),),
        "delete": ((history.MALFORMED,),),
        "another deployment's": ((history.ENROLLED,),),
    },
    "verified": {
        "forge": SPOKEN,
        "replay": _NUMBER,
        "roll back": ((jobs.COUNTED,),),
        "reorder": ((jobs.COUNTED,),),
        "drop": ((jobs.COUNTED,),),
        "another deployment's": _DEPLOYMENT,
    },
    "acts": {
        "forge": (*SPOKEN, (jobs.COMMANDER,), (jobs.RECORD_SIGNATURE,), (jobs.RECORD_BODY,)),
        "replay": ((jobs.TOLD, jobs.BOOKED),),
        "roll back": ((jobs.MISSED_ORDERS,),),
        "reorder": ((jobs.NAMED,),),
        "delay": ((jobs.LIFTING_AGE,),),
        "drop": ((jobs.MISSED_ORDERS,),),
        "another deployment's": _DEPLOYMENT,
    },
    "findings": {
        "forge": ((UNSIGNED,), (KEY,), (jobs.ROLES_GIVEN,), (SIGNATURE,), (BODY,)),
        "replay": ((jobs.TOLD, jobs.BOOKED, jobs.LIFTED),),
        "roll back": ((jobs.MISSED_FINDINGS,),),
        "reorder": ((jobs.BY_ITSELF,),),
        "delay": ((jobs.MISSED_FINDINGS,),),
        "drop": ((jobs.MISSED_FINDINGS,),),
        "another deployment's": _DEPLOYMENT,
    },
    "locks": {
        "forge": SPOKEN,
        "replay": _NUMBER,
        "roll back": ((doors.HEARTBEAT,),),
        "reorder": _NUMBER,
        "delay": ((doors.TIMELY,),),
        "drop": ((doors.HEARTBEAT,),),
        "delete": ((doors.HEARTBEAT,), (doors.TOMBSTONE,)),
        "another deployment's": _DEPLOYMENT,
    },
    "decisions": {"forge": SPOKEN, "replay": _NUMBER, "another deployment's": _DEPLOYMENT},
    "enforcement": {
        "forge": ((UNSIGNED,), (KEY,), (SIGNATURE,), (BODY,), (doors.OWN_POINT,)),
        "replay": _NUMBER,
        "reorder": _NUMBER,
        "delay": ((doors.NOT_LATE,),),
        "delete": ((doors.POINT_TOMBSTONE,),),
        "another deployment's": _DEPLOYMENT,
    },
    "outbox": {
        "forge": SPOKEN,
        "replay": _NUMBER,
        "reorder": _NUMBER,
        "delete": ((UNSIGNED,),),
        "another deployment's": _DEPLOYMENT,
    },
    "proofs": {
        "forge": SPOKEN,
        "replay": _NUMBER,
        "roll back": ((doors.OPEN_PROOF,),),
        "reorder": _NUMBER,
        "delay": ((doors.OPEN_PROOF,),),
        "delete": ((UNSIGNED,),),
        "another deployment's": _DEPLOYMENT,
    },
    "receipts": {
        "forge": SPOKEN,
        "replay": ((doors.NAMED_SEGMENT,),),
        "roll back": ((doors.NAMED_SEGMENT,),),
        "reorder": ((doors.ANY_ORDER,),),
        "delay": ((doors.RESENT,),),
        "drop": ((doors.RESENT,),),
        "another deployment's": _DEPLOYMENT,
    },
    "detector-state": {
        "forge": ((KEY,), (ROLE,), (SIGNATURE,), (BODY,)),
        "replay": _OWNED,
        "roll back": ((jobs.OWN_PLACE,),),
        "reorder": _OWNED,
        "delay": _OWNED,
        "drop": ((jobs.PROMISED,),),
        "delete": ((jobs.STATE_TOMBSTONE,),),
        "another deployment's": _DEPLOYMENT,
    },
    "checkpoints": {
        "forge": ((history.PINNED,),),
        "replay": _LARGEST,
        "roll back": _LARGEST,
        "reorder": _LARGEST,
        "another deployment's": ((history.ORIGIN,),),
    },
    "ledger_entries": {
        "forge": _SHARD,
        "replay": ((verifier.SAME_ENTRY,),),
        "roll back": ((verifier.SHARD, verifier.EVENTS),),
        "reorder": ((verifier.SHARD, verifier.SEALS, verifier.FOLD),),
        "delay": _SHARD,
        "drop": _SHARD,
        "delete": ((verifier.SHARD, verifier.EVENTS),),
        "another deployment's": ((verifier.SHARD, verifier.SEALS, verifier.FOLD),),
    },
    "events (the table)": {
        "forge": _EVENTS,
        "replay": ((verifier.SAME_EVENT,),),
        "roll back": _EVENTS,
        "reorder": _EVENTS,
        "delay": _EVENTS,
        "drop": _EVENTS,
        "delete": _EVENTS,
        "another deployment's": _EVENTS,
    },
    "checkpoints (the table)": {
        "forge": _ROOTS,
        "replay": ((verifier.SAME_CHECKPOINT,),),
        "roll back": _ROOT_LOG,
        "reorder": _ROOTS,
        "delay": _ROOT_LOG,
        "drop": _ROOT_LOG,
        "delete": _ROOTS,
        "another deployment's": _ROOTS,
    },
    "root_leaves": {
        "forge": _ROOT_LOG,
        "replay": ((verifier.SAME_LEAF,),),
        "roll back": _ROOT_LOG,
        "reorder": _ROOT_LOG,
        "delay": _ROOT_LOG,
        "drop": _ROOT_LOG,
        "delete": _ROOT_LOG,
        "another deployment's": _ROOT_LOG,
    },
    "rejected": {"forge": _FOLD, "replay": ((verifier.SAME_REJECTED,),), "reorder": _FOLD, "another deployment's": _FOLD},
    "all tables together": {"another deployment's": ((verifier.ROOT_NOTE,),)},
    "notary_snapshots": {
        "forge": ((history.SNAPSHOT_ROLE,), (KEY,), (history.OWN_SNAPSHOT,), *_REFOLDED),
        "replay": _REFOLDED,
        "roll back": _REFOLDED,
        "reorder": _REFOLDED,
        "delay": _REFOLDED,
        "drop": _REFOLDED,
        "delete": _REFOLDED,
        "another deployment's": ((history.OWN_DEPLOYMENT,), *_REFOLDED),
    },
    "an agent's spool": {
        "forge": ((history.ENROLLED,),),
        "replay": ((history.SEEN,),),
        "reorder": ((history.GAPS,),),
        "drop": ((history.GAPS,),),
        "another deployment's": ((history.ENROLLED,),),
    },
    "the sealer's state": {
        "forge": ((history.SIGNED_PART, history.CHAIN),),
        "roll back": _ANEW,
        "reorder": _BEHIND,
        "delay": _BEHIND,
        "drop": ((history.WHOLE_STATE, *_ANEW[0]),),
        "delete": _ANEW,
        "another deployment's": ((history.OWN_STATE, history.CHAIN, *_ANEW[0]),),
    },
    "a gateway's token file": {
        "replay": ((history.ONE_TOKEN,), *_TOKEN),
        "reorder": ((history.ANYWHERE,), *_TOKEN),
        "drop": _TOKEN,
        "delete": (*_TOKEN, (history.GONE_FILE,)),
        "another deployment's": _TOKEN,
    },
    "an agent's key file": {"forge": ((history.ENROLLED,),), "delete": ((history.OWN_KEY,),)},
}

_EMPTY: Final = "an empty value: nothing is kept under its key that it could delete, and nothing stands in it that could be done"
STRUCTURAL: Final[dict[tuple[str, Attack], str]] = {
    ("verified", "delete"): _EMPTY,
    ("acts", "delete"): _EMPTY,
    ("findings", "delete"): _EMPTY,
    ("decisions", "delete"): _EMPTY,
    ("receipts", "delete"): _EMPTY,
    ("checkpoints", "delete"): _EMPTY,
    ("the sealer's state", "replay"): "the same bytes in their own place",
}
"""Cells in which no guard can be taken out, and why."""
