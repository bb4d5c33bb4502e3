"""Errors of the record format, in families by whose fault it is.

TallystickError
├── ParseError            bytes or text from outside are not what the format allows
│   ├── OldMessage        signed, and said before: its number is not above the newest
│   └── NoRole            a key that may not say this, as far as is known: a directive that is read later may change that


│   └── RevokedWord       signed by a key that an operator revoked since, or before
├── SettingsError         the deployment's settings are wrong; carries every mistake at once
├── VerificationError     a history, note or proof does not hold: step, shard, index, reason
└── FoldError             the notary cannot go on: what it reads does not continue what it knows
    ├── OffsetWentBack    offsets start again without a generation record
    ├── OffsetsMissing    records between the ledger's last entry and the next one are gone
    └── RulesUnknown      the operator put rules in force that this version does not have
"""

from collections.abc import Sequence


class TallystickError(Exception):
    """Base of every error that this project raises on purpose."""


class ParseError(TallystickError):
    """Bytes or text from outside that the format does not allow."""


class OldMessage(ParseError):
    """A message that was signed and is not the newest: a repeat, or one that somebody kept and says again."""

    def __init__(self, number: tuple[int, int], newest: tuple[int, int]) -> None:
        super().__init__(f"an old message: its number {number[0]}/{number[1]} is not above {newest[0]}/{newest[1]}")


class NoRole(ParseError):
    """Nobody's word for want of a role: the same bytes may be believed once another directive is known."""


class RevokedWord(NoRole):
    """A message that was truly signed by a key that is revoked. It counts for nothing; said before `revoked_at` (seconds since 1970), it is no news."""

    def __init__(self, agent: str, key: str, revoked_at: float) -> None:
        self.revoked_at = revoked_at
        super().__init__(f"signed by key {key} of {agent}, which an operator revoked")


class SettingsError(TallystickError):
    """Settings that cannot be used. `mistakes` names all of them, not just the first."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(self.mistakes))


class VerificationError(TallystickError):
    """A check of SPEC section 11 that failed: the step's number, and the place where it failed."""

    def __init__(self, reason: str, step: int | None = None, shard: int | None = None, index: int | None = None) -> None:
        self.reason, self.step, self.shard, self.index = reason, step, shard, index
        super().__init__(reason)

    def __str__(self) -> str:
        place = [
            f"{name} {value}" for name, value in (("step", self.step), ("shard", self.shard), ("index", self.index)) if value is not None
        ]
        return f"{', '.join(place)}: {self.reason}" if place else self.reason


class FoldError(TallystickError):
    """The fold refuses to go on; the notary stops with this sentence."""


class OffsetWentBack(FoldError):
    """The topic started again without a generation record."""

    def __init__(self, shard: int, last: tuple[int, int], offset: int) -> None:
        super().__init__(
            f"shard {shard}: offset {offset} comes after offset {last[1]} of generation {last[0]} and no generation record announces "
            "that the topic was made anew; announce it with `tallystick topics announce` or restore the topic"
        )


class OffsetsMissing(FoldError):
    """Kafka no longer holds records that the ledger does not have."""

    def __init__(self, shard: int, first: int, last: int) -> None:
        self.shard, self.first, self.last = shard, first, last
        super().__init__(
            f"shard {shard}: offsets {first} to {last} are gone from Kafka and are not in the ledger; restore the ledger's newest copy"
        )


class RulesUnknown(FoldError):
    """A directive asks for rules that came after this version."""

    def __init__(self, shard: int, level: object, known: int) -> None:
        super().__init__(
            f"shard {shard}: the operator put the rules of level {level!r} in force, and this version has those up to level {known}; "
            "fold this history with the version that the directive was made by, or a later one"
        )
