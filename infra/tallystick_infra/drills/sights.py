"""What a record can show of a drill: one struct a kind of sight, told apart by `see`. The same shapes say what is expected and what must never come."""

from typing import Annotated, Literal

import msgspec

from tallystick_schemas.messages import Choice, Level
from tallystick_schemas.words import counted

Within = Annotated[float, msgspec.Meta(gt=0, le=300)]


class _Sight(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="see", kw_only=True):
    of: str | None = None
    """Whom it is about; None: anybody of this drill."""
    within_s: Within = 10.0
    """Seconds after the first hostile event was recorded. Of no meaning under must_not."""

    def _about(self, sight: str) -> str:
        """`words` of each kind: a sentence's end, with whom it is about."""
        return f"{sight}{f' ({self.of})' if self.of else ''}"


class SeeFinding(_Sight, frozen=True, tag="finding"):
    """A detector's finding with all its evidence in the record. `suppressed`: whether a grant has to cover it; `feature`: a number it has to have weighed."""

    detector: str
    suppressed: bool = False
    feature: str | None = None

    def words(self) -> str:
        weighed = f" that weighs {self.feature}" if self.feature else ""
        return self._about(f"a {'suppressed ' if self.suppressed else ''}finding of {self.detector}{weighed}")


class SeeDecision(_Sight, frozen=True, tag="decision"):
    """The responder's signed decision on a finding."""

    choice: Choice
    detector: str | None = None

    def words(self) -> str:
        return self._about(f"the decision to {self.choice}{f' on a finding of {self.detector}' if self.detector else ''}")


class SeeLock(_Sight, frozen=True, tag="lock"):
    """A lock in force, and the signed event that says so."""

    level: Level | None = None
    subject: Literal["principal", "credential"] | None = None

    def words(self) -> str:
        return self._about(f"a {self.level or 'lock'}{' lock' if self.level else ''}{f' of the {self.subject}' if self.subject else ''}")


class SeeCut(_Sight, frozen=True, tag="cut"):
    """A download that the lock ended while it was under way."""

    def words(self) -> str:
        return self._about("a download cut in flight")


class SeeRefused(_Sight, frozen=True, tag="refused"):
    """A request that was refused because of the lock."""

    credential: int | None = None

    def words(self) -> str:
        return self._about(f"a refused request{f' of credential {self.credential}' if self.credential else ''}")


class SeeProbe(_Sight, frozen=True, tag="probe"):
    """A probe with a canary credential of the same lock, refused at every enforcement point."""

    def words(self) -> str:
        return self._about("a probe refused at every enforcement point")


class SeeDelivery(_Sight, frozen=True, tag="delivery"):
    """The lock's delivery to a connector, done."""

    connector: str
    attempts: int = 1
    """How often it had to be tried at least."""

    def words(self) -> str:
        return self._about(f"a delivery to {self.connector} done after {self.attempts} or more attempts")


class SeeTaken(_Sight, frozen=True, tag="taken"):
    """Honest work that went on: so many distinct objects were read with leave."""

    objects: int

    def words(self) -> str:
        return self._about(f"{counted(self.objects, 'object')} read with leave")


Sight = SeeFinding | SeeDecision | SeeLock | SeeCut | SeeRefused | SeeProbe | SeeDelivery | SeeTaken
