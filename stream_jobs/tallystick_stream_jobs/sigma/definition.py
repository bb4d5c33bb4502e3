"""What a rule file says, once it is understood: conditions, a window, and how it is told. Plain values, the same for stream and SQL."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal

from ..detectors.base import Act, Severity
from .fields import Field
from .limits import SINGLE_S
from .predicates import Predicate

Measure = Literal["count", "distinct", "sum", "rules", "ordered"]
"""event_count, value_count, value_sum, temporal, temporal_ordered."""
UNITS: Final[dict[Measure, str]] = {
    "count": "events",
    "distinct": "distinct values",
    "sum": "in all",
    "rules": "of its rules",
    "ordered": "of its rules in order",
}


@dataclass(frozen=True)
class Window:
    """When a rule speaks: `measure` over the newest `panes` panes reaches `threshold`, for one principal and one value of each `group`."""

    rules: tuple[Predicate, ...]
    measure: Measure = "count"
    threshold: int = 1
    span_s: int = SINGLE_S
    panes: int = 1
    group: tuple[Field, ...] = ()
    values: tuple[Field, ...] = ()
    """What is counted or summed. One field must be there for a hit to count; of several, the absent ones are ''."""

    def pane(self, micros: int) -> int:
        """The pane of a time in microseconds since 1970; panes are span / 12 long, or the whole span where there is one."""
        return micros * self.panes // (self.span_s * 1_000_000)


@dataclass(frozen=True)
class Example:
    """Events, and whether the rule must find something in them. `events`: (seconds since the example's start, bytes), in that order."""

    name: str
    expect: bool
    events: tuple[tuple[float, bytes], ...]


@dataclass(frozen=True)
class Definition:
    """One rule that speaks."""

    path: str
    sigma_id: str
    title: str
    description: str
    severity: Severity
    techniques: tuple[str, ...]
    act: Act
    window: Window
    examples: tuple[Example, ...] = field(compare=False, default=())

    @property
    def id(self) -> str:
        """What findings call it: `U-` and the first eight digits of its Sigma id."""
        return f"U-{self.sigma_id[:8]}"

    @property
    def version(self) -> int:
        """Another number for every other window, so that findings and feedback tell which text they are about."""
        return int.from_bytes(blake2b(repr(self.window).encode(), digest_size=4).digest(), "big") >> 1
