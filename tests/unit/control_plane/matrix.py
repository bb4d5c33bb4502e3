"""The matrix: every surface with what is said of each attack on it. `test_control_plane.py` runs each cell, `page.py` writes them down."""

from typing import Final

from tallystick_infra.clickhouse.grants import GRANTS
from tallystick_schemas.access import access_table

from . import doors, history, jobs
from .cells import CLOSED, LIMIT, REFUSED, TOLD, WRITING, Attack, Said, Surface

_SIGNED: Final = Said(REFUSED, "by whoever reads it, on reading: no key with the role signed it; counted and logged")
_FOREIGN: Final = Said(REFUSED, "by whoever reads it, on reading: the deployment is signed")
_OLD: Final = Said(REFUSED, "by whoever reads it, on reading: its number is not above the newest")
_TOMBSTONE: Final = Said(REFUSED, "by whoever reads it, on reading: a tombstone says nothing")
_VERIFY: Final = Said(TOLD, "by `tallystick audit verify`, when it is run")
_SAME: Final = Said(REFUSED, "a row that repeats another changes nothing")
_MISSED: Final = Said(
    TOLD,
    "by the responder, 15 to 20 s after the ledger has the order: it is carried out from there, and finding R07 pages; "
    "orders of more than an hour before a responder began are left to people",
)
_UNHEARD: Final = Said(
    TOLD,
    "by the responder, 60 to 65 s after the ledger has a finding that asks for a lock: finding R07 pages, and people decide; "
    "nobody is locked for it, and findings that ask for none are in the history alone",
)

SURFACES: Final[tuple[Surface, ...]] = (
    Surface(
        "events",
        "topic",
        history.events,
        {
            "forge": Said(REFUSED, "by the notary: its entry says unknown key or malformed, and it is nobody's event"),
            "replay": Said(REFUSED, "by the notary: its entry says seen"),
            "roll back": Said(REFUSED, "by the notary: what is in the history and comes again is seen"),
            "reorder": Said(TOLD, "by the notary, in the entry: a gap, then out of order"),
            "delay": Said(LIMIT, "until it comes nobody has it but the agent's spool, which keeps it and sends it again"),
            "drop": Said(TOLD, "by the notary, in the next entry of the run: a gap; the agent has no receipt and sends it again"),
            "delete": Said(REFUSED, "by the notary: an empty record is malformed"),
            "another deployment's": Said(
                REFUSED, "by the notary: unknown key; a key that is enrolled in both deployments is one agent to both"
            ),
        },
    ),
    Surface(
        "verified",
        "topic",
        jobs.verified_topic,
        {
            "forge": _SIGNED,
            "replay": _OLD,
            "roll back": Said(TOLD, "by the detectors, with the next message: finding T01 names how many are missing"),
            "reorder": Said(TOLD, "by the detectors, with the message that came too soon: finding T01; the late one is an old one"),
            "delay": Said(LIMIT, "a detector finds later, and says nothing of the delay; nobody is locked until then"),
            "drop": Said(TOLD, "by the detectors, with the next message: finding T01"),
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "acts",
        "topic",
        jobs.acts_topic,
        {
            "forge": Said(REFUSED, "by the responder: no notary signed it, or the record that it points at is no commander's"),
            "replay": Said(REFUSED, "by the responder: the order was carried out under its command"),
            "roll back": _MISSED,
            "reorder": Said(
                REFUSED,
                "by the responder: an order to lift names the lock that it lifts, and lifts none that was made since",
            ),
            "delay": Said(
                TOLD, "by the responder, in its decision: an order to lift is refused after an hour; before that, and for locks, as drop"
            ),
            "drop": _MISSED,
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "findings",
        "topic",
        jobs.findings_topic,
        {
            "forge": _SIGNED,
            "replay": Said(REFUSED, "by the responder: it decided on this finding, also when its lock was lifted since"),
            "roll back": _UNHEARD,
            "reorder": Said(REFUSED, "each is decided on by itself"),
            "delay": Said(TOLD, "as drop; the lock comes as late as the finding, and a delay of less than a minute goes unseen"),
            "drop": _UNHEARD,
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "locks",
        "topic",
        doors.locks,
        {
            "forge": _SIGNED,
            "replay": _OLD,
            "roll back": Said(CLOSED, "by each door, with the next heartbeat: its count and digest are of other locks"),
            "reorder": Said(REFUSED, "by each door: the lower number comes too late"),
            "delay": Said(
                CLOSED, "by each door, once the heartbeat is older than `lock_stale_s` by its own clock; a shorter delay goes unseen"
            ),
            "drop": Said(CLOSED, "by each door, with the next heartbeat"),
            "delete": Said(CLOSED, "by doors that begin now, with the next heartbeat; whoever read the lock goes on denying by it"),
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "decisions",
        "topic",
        doors.decisions,
        {
            "forge": _SIGNED,
            "replay": _OLD,
            "roll back": Said(LIMIT, "other systems are not told of what was not read yet; doors have it from `locks`"),
            "reorder": Said(LIMIT, "the one that comes late is logged, and not delivered until the outbox starts again"),
            "delay": Said(LIMIT, "other systems are told as late; doors have it from `locks`"),
            "drop": Said(LIMIT, "other systems are not told; doors have it from `locks`, and the history has the decision"),
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "enforcement",
        "topic",
        doors.enforcement,
        {
            "forge": Said(REFUSED, "by whoever reads it: a point speaks for itself alone"),
            "replay": _OLD,
            "roll back": Said(LIMIT, "a reader that begins now sees a door that has left; what doors do does not hang on it"),
            "reorder": _OLD,
            "delay": Said(
                REFUSED,
                "by whoever reads it: what a point says of itself, 30 s after it was said; an acknowledgement is taken however late",
            ),
            "drop": Said(LIMIT, "a door that nobody hears of is not probed; it denies all the same"),
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "outbox",
        "topic",
        doors.outbox,
        {
            "forge": _SIGNED,
            "replay": _OLD,
            "roll back": Said(LIMIT, "the next outbox makes the delivery once more"),
            "reorder": _OLD,
            "delay": Said(LIMIT, "as roll back: it is read at the start alone"),
            "drop": Said(LIMIT, "what the topic lost is made once more from `decisions`, and never less than once"),
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "proofs",
        "topic",
        doors.proofs,
        {
            "forge": _SIGNED,
            "replay": _OLD,
            "roll back": Said(REFUSED, "the door is asked again, which is the better proof"),
            "reorder": _OLD,
            "delay": Said(REFUSED, "as roll back: it is read at the start alone"),
            "drop": Said(LIMIT, "the next outbox does not know that this door was asked; the history has what was proven"),
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "receipts",
        "topic",
        doors.receipts,
        {
            "forge": _SIGNED,
            "replay": Said(REFUSED, "by the agent: nothing of that number waits"),
            "roll back": Said(REFUSED, "by the agent: nothing of that number waits"),
            "reorder": Said(REFUSED, "by the agent: each frees its own segment"),
            "delay": Said(REFUSED, "by the agent: the segment stays in its spool and is sent again"),
            "drop": Said(REFUSED, "by the agent: the segment stays in its spool and is sent again"),
            "delete": Said(REFUSED, "by the agent: an empty value is no receipt"),
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "detector-state",
        "topic",
        jobs.detector_state,
        {
            "forge": _SIGNED,
            "replay": _OLD,
            "roll back": Said(
                REFUSED, "an older copy that fits itself is read on from its own place: the same findings under the same ids"
            ),
            "reorder": _OLD,
            "delay": Said(REFUSED, "by the detectors, at their start: a newer owner has written"),
            "drop": Said(TOLD, "by the detectors, at their start: finding T02; what `verified` still has is read again"),
            "delete": _TOMBSTONE,
            "another deployment's": _FOREIGN,
        },
    ),
    Surface(
        "checkpoints",
        "topic",
        history.checkpoints_topic,
        {
            "forge": Said(REFUSED, "by each agent: no pinned sealer signed it"),
            "replay": Said(REFUSED, "by each agent: it vouches for the largest that it saw"),
            "roll back": Said(REFUSED, "by each agent: it vouches for the largest that it saw"),
            "reorder": Said(REFUSED, "by each agent: it vouches for the largest that it saw"),
            "delay": Said(LIMIT, "agents vouch for an older checkpoint: what was sealed since can be signed anew unseen by them"),
            "drop": Said(LIMIT, "agents vouch for an older checkpoint: what was sealed since can be signed anew unseen by them"),
            "delete": Said(REFUSED, "by each agent: an empty value is no checkpoint"),
            "another deployment's": Said(REFUSED, "by each agent: the origin is signed"),
        },
    ),
    *(
        Surface(
            name,
            "table",
            history.table(attribute),
            dict.fromkeys(("forge", "roll back", "reorder", "delay", "drop", "delete", "another deployment's"), _VERIFY)
            | {"replay": _SAME},
        )
        for name, attribute in (
            ("ledger_entries", "entries"),
            ("events (the table)", "events"),
            ("checkpoints (the table)", "checkpoints"),
            ("root_leaves", "root_leaves"),
        )
    ),
    Surface(
        "rejected",
        "table",
        history.table("rejected"),
        dict.fromkeys(("forge", "reorder", "another deployment's"), _VERIFY)
        | {"replay": _SAME}
        | dict.fromkeys(
            ("roll back", "delay", "drop", "delete"),
            Said(LIMIT, "what a refused record said is lost; that it came and why it was refused stands in its entry"),
        ),
    ),
    Surface(
        "all tables together",
        "table",
        history.whole_store,
        {
            "roll back": Said(LIMIT, "an older copy of everything verifies; who pinned a later checkpoint outside sees it"),
            "another deployment's": _VERIFY,
        },
    ),
    Surface(
        "notary_snapshots",
        "table",
        history.snapshots,
        {
            "forge": Said(REFUSED, "by the notary, at its start: no notary signed this state; every entry is folded again"),
            "replay": _SAME,
            "roll back": Said(REFUSED, "the entries after it are folded again"),
            "reorder": Said(REFUSED, "the entries after it are folded again"),
            "delay": Said(REFUSED, "every entry is folded again"),
            "drop": Said(REFUSED, "every entry is folded again"),
            "delete": Said(REFUSED, "every entry is folded again"),
            "another deployment's": Said(REFUSED, "by the notary, at its start: the deployment is signed; every entry is folded again"),
        },
    ),
    Surface(
        "an agent's spool",
        "file",
        history.spool,
        {
            "forge": Said(REFUSED, "by the notary: the key is not the agent's"),
            "replay": Said(REFUSED, "by the notary: its entry says seen"),
            "roll back": Said(LIMIT, "what was recorded since and not sent is lost; when it is the end of a run, no gap shows it"),
            "reorder": Said(TOLD, "by the notary, in the entry: a gap, then out of order"),
            "delay": Said(LIMIT, "until it is sent nobody has it"),
            "drop": Said(TOLD, "by the notary, in the next entry of the run: a gap"),
            "delete": Said(LIMIT, "what was recorded and not sent is lost; when it is the end of a run, no gap shows it"),
            "another deployment's": Said(REFUSED, "by the notary: unknown key"),
        },
    ),
    Surface(
        "the sealer's state",
        "file",
        history.sealer_state,
        {
            "forge": Said(TOLD, "by the sealer, at its start: it signs nothing, and `doctor` says why"),
            "replay": Said(REFUSED, "it is the same file"),
            "roll back": Said(
                TOLD,
                "by the sealer, at its start: its kept notes, the store and the topic hold newer ones; it signs nothing until it may adopt them",
            ),
            "reorder": Said(TOLD, "as roll back: it is one value"),
            "delay": Said(TOLD, "as roll back"),
            "drop": Said(TOLD, "by the sealer, at its start: a file that is cut off is not read; it signs nothing"),
            "delete": Said(TOLD, "as roll back"),
            "another deployment's": Said(TOLD, "by the sealer, at its start: it signs nothing"),
        },
    ),
    Surface(
        "a gateway's token file",
        "file",
        history.tokens,
        {
            "forge": Said(LIMIT, "whoever may write the file lets himself in: its mode is 0600"),
            "replay": Said(TOLD, "by the gateway, on reading: a token that stands there twice is a fault of the file and counts once"),
            "roll back": Said(LIMIT, "a token that was removed since lets in again"),
            "reorder": Said(REFUSED, "lines have no order"),
            "drop": Said(CLOSED, "by the gateway, on reading: a token that is not there lets nobody in"),
            "delete": Said(CLOSED, "by the gateway, on reading: a token that is not there lets nobody in"),
            "another deployment's": Said(REFUSED, "by the gateway: a token of another file lets nobody in"),
        },
    ),
    Surface(
        "an agent's key file",
        "file",
        history.key_file,
        {
            "forge": Said(REFUSED, "by the notary: a key that no operator enrolled"),
            "delete": Said(TOLD, "by the agent, at its start: it ends"),
        },
    ),
)


def who(surface: Surface, attack: Attack) -> str:
    """Who can try it, besides whoever runs what holds the surface."""
    if surface.kind == "file":
        return "every process of the same account"
    if surface.kind == "topic":
        writers = [row.role for row in access_table() if surface.name in row.writes]
        return ", ".join(["the broker", *(writers if attack in WRITING else [])])
    table = surface.name.removesuffix(" (the table)")
    inserters = [role for role, grant in GRANTS.items() if table in grant.inserts and attack in WRITING - {"delete"}]
    pruners = [role for role, grant in GRANTS.items() if table in grant.prunes and attack in ("drop", "delete", "roll back")]
    return ", ".join(["the store", *inserters, *pruners])
