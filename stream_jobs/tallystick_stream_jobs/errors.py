"""Errors of the stream jobs and the sealer.

TallystickError
├── SettingsError
│   └── PolicyRefused        detection.yaml cannot be used; carries every mistake at once
└── JobError
    ├── LedgerDisagrees      the store holds something else than folding gives
    ├── StoreWentBack        the store holds less than it did: it was restored under the notary
    ├── KafkaWentBack        Kafka holds less than the ledger: it was restored from an older copy
    ├── KafkaDiffers         Kafka holds another record at the ledger's last place: an older copy that was written to since
    ├── ShardGoesOn          what stopped a shard is over: its process begins anew with it
    ├── SealRefused          what the store holds does not extend what was signed
    ├── SealerBusy           another sealer runs on this directory
    ├── SealerStateBroken    the sealer's own files cannot be used
    ├── SealerBehind         somebody holds a newer checkpoint of the sealer's key than its state knows
    ├── SealerSplit          two checkpoints of one size are signed by the sealer's key
    ├── StoreForgot          the store lost checkpoints that were published
    ├── RootLogLost          leaves of the root log are in no place that can be read
    ├── ParametersRefused    thresholds that no detector knows, or that make no sense
    ├── RuleRefused          a user's rule, or a part of it, that cannot be compiled
    ├── SnapshotFenced       another detector process owns this partition by now
    ├── NotTheOwner          another process owns this job by now
    ├── RoleMissing          nobody has the role whose messages a part reads
    ├── NoFence              the start of a part did not reach the log, so it may write nothing
    ├── LockUnconfirmed      an order was recorded, and no lock appeared in time
    └── OrderHeld            an order was refused, or waits for a second person
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tallystick_schemas.errors import SettingsError, TallystickError


class PolicyRefused(SettingsError):
    """A policy file that is not used; whoever ran with an older one goes on with it."""


class JobError(TallystickError):
    """A job cannot go on; its process stops with this sentence and the supervisor starts it again."""


class LedgerDisagrees(JobError):
    """The ledger contradicts itself or the fold at one place."""

    def __init__(self, shard: int, index: int, reason: str | None = None) -> None:
        self.shard, self.index = shard, index
        what = reason or "two rows stand there and differ"
        super().__init__(f"shard {shard}, index {index}: {what}; run `tallystick audit verify` and restore the ledger's newest good copy")


class StoreWentBack(JobError):
    """The notary begins again from what the ledger holds now, and fills it from Kafka."""

    def __init__(self, shard: int, held: int, stored: int) -> None:
        super().__init__(
            f"shard {shard}: the ledger ends at index {held} and held {stored} before: the store was restored from an older copy; "
            "what is missing is folded again from Kafka"
        )


class KafkaWentBack(JobError):
    """Offsets would be given a second time: what stands under them cannot be told from what the ledger has."""

    def __init__(self, shard: int, end: int, offset: int, index: int) -> None:
        self.offset, self.index = offset, index
        super().__init__(
            f"shard {shard}: partition {shard} of topic events ends at offset {end}, and the ledger has its record {offset}: Kafka was "
            f"restored from an older copy; {_ANEW}"
        )


class KafkaDiffers(JobError):
    """The partition is as long as the ledger knew it, and not the same: what stands above that place continues another history."""

    def __init__(self, shard: int, offset: int, index: int) -> None:
        self.offset, self.index = offset, index
        super().__init__(
            f"shard {shard}: offset {offset} of topic events holds another record than the one that entry {index} was made of: Kafka was "
            f"restored from an older copy and written to since; {_ANEW}"
        )


_ANEW: Final = (
    "stop it and move its data away (or delete topic events) and start again, so that the topics are made and announced anew; agents send "
    "again what has no receipt"
)


class ShardGoesOn(JobError):
    """The notary begins again, with the shards that stood still."""

    def __init__(self, shards: Sequence[int]) -> None:
        super().__init__(
            f"what stopped {', '.join(f'shard {shard}' for shard in shards)} is otherwise now; the notary begins again and reads on where the ledger ends"
        )


class SealRefused(JobError):
    """Nothing is signed: the history was changed behind what was signed, or the store lost rows."""

    def __init__(self, shard: int, index: int, reason: str) -> None:
        self.shard, self.index, self.reason = shard, index, reason
        super().__init__(f"not signed: shard {shard} parts from what was signed at index {index}: {reason}")


class SealerBusy(JobError):
    """Two sealers with one key could sign two histories."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"another sealer runs on {directory}; stop it first")


class SealerStateBroken(JobError):
    """Without its files a sealer cannot know what it signed."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"not signed: the sealer's file {path} cannot be used: {reason}; restore the newest copy of {path.name}, or move it aside: "
            "the sealer then says what was signed, and `tallystick sealer adopt` lets it go on from there"
        )


class SealerBehind(JobError):
    """Nothing is signed: this key signed more than the state knows, so the state is an older copy or new, or somebody else has the key."""

    def __init__(self, where: str, origin: str, size: int, known: int) -> None:
        super().__init__(
            f"not signed: {where} holds a checkpoint of {origin} with {size} leaves that a sealer of this deployment signed, and the "
            f"sealer's state knows a root log of {known}; if its directory was restored from a copy or made anew, `tallystick sealer adopt "
            "--reason …` lets it go on from the newest; if not, another process signs with this key: stop it first"
        )


class SealerSplit(JobError):
    """Nothing is signed: there are two histories already."""

    def __init__(self, size: int, one: str, other: str) -> None:
        super().__init__(
            f"not signed: {one} and {other} hold different root checkpoints of size {size}, both signed by a sealer of this deployment: "
            "two histories were signed; keep both, and find out who else has the key"
        )


class StoreForgot(JobError):
    """The sealer begins again: it publishes once more what it kept, when the ledger holds all that was signed."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"not signed: the store no longer holds the root checkpoint of size {size}: it was restored from an older copy; "
            "what is missing is published again from the sealer's notes.jsonl as soon as the ledger holds every entry that was signed"
        )


class RootLogLost(JobError):
    """Nothing is signed: the tree over what was signed cannot be computed any more."""

    def __init__(self, first: int, end: int) -> None:
        super().__init__(
            f"not signed: a root checkpoint of size {end} is signed, and its leaves from {first} on are neither in the store nor in the "
            "sealer's notes.jsonl nor whole on topic checkpoints; restore a newer copy of notes.jsonl or of the store"
        )


class SealerKeyRetired(JobError):
    """The operator said that this key seals no longer: nobody would believe what it signs."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the sealer's key {key} was retired by an operator, so nobody believes what it signs; put the next key into keys/sealer.key and start again"
        )


class ParametersRefused(JobError):
    """All that is wrong with the thresholds that were given, at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__(f"these thresholds cannot be used: {'; '.join(problems)}")


class RuleRefused(JobError):
    """A rule of somebody's own that cannot be used: the file, the part of it, and why. The others go on."""

    def __init__(self, path: str, part: str, reason: str) -> None:
        self.path, self.part, self.reason = path, part, reason
        super().__init__(f"{path}: {part}: {reason}")


class SnapshotFenced(JobError):
    """A newer owner wrote its fence; this process must not write over it."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} of the detectors' state belongs to a newer process")


class NotTheOwner(JobError):
    """Whoever lost a job writes nothing more for it."""

    def __init__(self, fence: int) -> None:
        super().__init__(
            f"this process wrote under fence {fence}, and another one owns the job by now; it starts again and asks for its turn"
        )


class RoleMissing(JobError):
    """What nobody with the role has signed is nobody's word: reading on would lose all of it."""

    def __init__(self, role: str, seconds: float) -> None:
        super().__init__(
            f"topic locks has no operator's directive that gives an agent the role {role} (looked for {seconds:.0f} s); "
            "`tallystick up` gives our own parts theirs, and [log] operator_keys must name the operator who signed"
        )


class NoFence(JobError):
    """Without a number of its own an owner must not write: nobody could tell it from the one before."""

    def __init__(self, part: str, seconds: float) -> None:
        super().__init__(
            f"the start of {part} did not reach topic events within {seconds:.0f} s, so it has no number to write under; "
            "is Kafka there, and may this agent write to it?"
        )


class LockUnconfirmed(JobError):
    """The order stands in the history; the responder has not acted on it yet."""

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(
            f"the order {command} is recorded, but no lock appeared within {seconds:.0f} s; is the responder running? "
            "`tallystick doctor` tells"
        )


class OrderHeld(JobError):
    """Nothing was locked or lifted; the sentence is the responder's."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"{reason} (command {command})")
