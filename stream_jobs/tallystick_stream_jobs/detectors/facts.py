"""What rules see of an event: the few fields they need, decoded once, and the time that counts."""

from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, final

from tallystick_schemas.messages import Place, VerifiedSegment

from .peers import NOBODY, Peers
from .reading import Event

LATENESS_S: Final = 600.0
DAY_S: Final = 86_400
PANE_S: Final = 300
"""Of `Fact.pane`."""
PANES_HOUR: Final = 3600 // PANE_S
PANES_DAY: Final = DAY_S // PANE_S


Boxed = tuple[Any, Any, Any]
"""A place whose numbers stay objects: six rules put it into their states, and none makes three numbers anew."""


@final
class Fact:
    """One verified event, which nobody changes. What most rules ask for stands here, and not in `event`: compiled, it is read in a tenth of the time."""

    def __init__(
        self,
        event: Event,
        time: float,
        place: Place,
        append: float,
        ahead: float,
        peers: Peers,
        raw: bytes,
        segment: VerifiedSegment | None,
    ) -> None:
        actor, resource = event.actor, event.resource
        self.event: Final = event
        self.time: Final = time
        """Seconds since 1970."""
        self.place: Final[Boxed] = place
        """Where the history has it."""
        self.pane: Final = int(time) // PANE_S
        """The five minutes in which it happened, counted from 1970: what longer panes, hours and days are made of."""
        self.principal: Final = actor.principal
        self.credential: Final = actor.credential or ""
        """The one that spoke; empty where the door named none."""
        self.outcome: Final = event.outcome
        self.resource: Final = resource
        self.collection: Final = resource.collection
        self.attrs: Final = event.attrs
        self.raw: Final = raw
        """For rules that need more than `event`."""
        key = object_key(event)
        self.object: Final = None if key is None else number_of(key)
        """The number of `object_key`: what was touched with leave."""
        self.append: Final = append
        """When the broker took it, in seconds since 1970."""
        self.ahead: Final = ahead
        """How far the agent's clock was ahead of the broker's, in seconds; negative when behind, or when the event waited in a spool."""
        self.peers: Final = peers
        self.segment: Final = segment
        """What carried it: whose signature it has, and where its record is. None outside of the stream."""


OBJECT_ACTIONS: Final = frozenset({"access.check", "artifact.download", "artifact.read", "dataset.read", "dataset.export"})


def touches(action: str, outcome: str) -> bool:
    """Whether an event of this kind can touch an object with leave: what most rules look at."""
    return outcome == "allowed" and action in OBJECT_ACTIONS


def claimed_time(text: str) -> float | None:
    """The agent's clock in seconds since 1970; None for a day that no calendar has, which the format lets pass."""
    exact = len(text) == _LENGTH and text.endswith("Z")
    minute = _minutes.get(text[:_TO_MINUTES]) if exact else None
    try:
        # Of a minute that is known, the seconds are cut out: the calendar takes twice as long, for the same number, since both divide microseconds.
        if minute is not None and _has_seconds(text):
            return (minute + int(text[17:19]) * 1_000_000 + int(text[20:26])) / 1_000_000
        found = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
    if exact:
        if len(_minutes) >= _MOST_MINUTES:
            _minutes.clear()
        _minutes[text[:_TO_MINUTES]] = int(found // 60) * 60_000_000
    return found


def _has_seconds(text: str) -> bool:
    """Whether `:ss.ffffff` stands where the format has it. `int` alone would take blanks and signs."""
    return text[16] == ":" and text[17] < "6" and text[17:19].isdigit() and text[19] == "." and text[20:26].isdigit()


def settled_day(time: float) -> int:
    """The day (UTC, counted from 1970) before which nothing can come in any more when an event of this time is read."""
    return int(time - LATENESS_S) // DAY_S


def number_of(text: str) -> int:
    """32 bits of a name, the same in every process (BLAKE2b): two of 64 names share one in a run of 2 million."""
    known = _numbers.get(text)
    if known is None:
        if len(_numbers) >= _MOST_NUMBERS:
            _numbers.clear()
        known = _numbers[text] = int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=4).digest(), "big")
    return known


def object_key(event: Event) -> str | None:
    """The object that an event touched with leave, or None. A decision and the download after it name the same object."""
    action = event.action
    if event.outcome != "allowed" or action not in OBJECT_ACTIONS:
        return None
    if action == "access.check" and not ((usage := event.usage) and usage.objects):
        return None
    resource = event.resource
    return f"{resource.kind}\0{resource.id}\0{resource.version or ''}\0{resource.part or ''}"


def make_fact(
    event: Event, append_ms: int, place: Place, peers: Peers = NOBODY, raw: bytes = b"", segment: VerifiedSegment | None = None
) -> Fact:
    """A fact from a decoded event, which the broker took at `append_ms`.

    Its time is the agent's where that is at most 10 min from the broker's, else the broker's: a wrong clock must not blind a window.
    """
    append = append_ms / 1000
    claimed = claimed_time(event.time)
    ahead = claimed - append if claimed is not None else 0.0
    time = claimed if claimed is not None and -LATENESS_S <= ahead <= LATENESS_S else append
    return Fact(event, time, place, append, ahead, peers, raw, segment)


_numbers: Final[dict[str, int]] = {}
_MOST_NUMBERS: Final = 50_000
_minutes: Final[dict[str, int]] = {}
"""`YYYY-MM-DDThh:mm` -> microseconds since 1970."""
_MOST_MINUTES: Final = 10_000
_TO_MINUTES: Final = 16
_LENGTH: Final = 27
