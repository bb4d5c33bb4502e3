"""A finding's whole reasoning in words. Pure: it is given the finding, what is known of its detector, what was decided and what people said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event
from tallystick_schemas.evidence import Cited
from tallystick_schemas.messages import Finding, Place
from tallystick_schemas.standing import Standing
from tallystick_schemas.words import counted, figure

from ..detectors.base import Meta
from ..policy.model import DetectionPolicy
from .store import Closed

_NOTHING: Final = Cited(b"", Standing.WAITING)
_WRONG: Final = {
    Standing.CHANGED: "CHANGED: its bytes are not what its agent signed",
    Standing.REMOVED: "REMOVED: its agent signed an event here, and the store has none",
    Standing.UNPROVEN: "UNPROVEN: its segment's events do not fold to the root that its agent signed",
}


@dataclass(frozen=True)
class Section:
    """A heading and its sentences."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """All that an explanation is made of. `meta` None: a detector that is not ours; `decisions` as `store.read_decisions` gives them."""

    finding: Finding
    meta: Meta | None
    policy: DetectionPolicy
    decisions: Sequence[Mapping[str, Any]] = ()
    closed: Closed | None = None
    evidence: Mapping[Place, Cited] | None = None


def explain(known: Known) -> list[Section]:
    """Sections in reading order; none is left out, an empty one says that there is nothing."""
    return [
        Section("What was found", _found(known.finding)),
        Section("What was counted", _counted(known.finding)),
        Section("What it was compared with", _compared(known.finding)),
        Section("How far it may go", _reach(known)),
        Section("What was decided", _decided(known)),
        Section("What people said", _said(known.closed)),
        Section("Where the evidence is", _evidence(known)),
        Section("What would have made it different", _otherwise(known)),
    ]


def _found(one: Finding) -> tuple[str, ...]:
    whom = f"the agent {one.principal}" if one.subject == "agent" else one.principal
    lines = [f"{one.detector} version {one.version} ({one.title}), severity {one.severity}, about {whom} at {one.time[:19]}Z.", one.text]
    if one.credential:
        lines.append(f"All of it was done with one credential, {one.credential}.")
    if one.count > 1:
        lines.append(f"It was found {one.count} times, the last time at {(one.updated or one.time)[:19]}Z; it is one finding.")
    if one.drill:
        lines.append(f"It belongs to the exercise {one.drill}.")
    return tuple(lines)


def _counted(one: Finding) -> tuple[str, ...]:
    over = f"over {window(one.window_s)}" if one.window_s else "in a single event"
    lines = [f"{figure(one.value)} was measured {over}; the line is {figure(one.threshold)}."]
    lines += [f"{name}: {figure(value)}" for name, value in one.features.items()]
    return tuple(lines)


def _compared(one: Finding) -> tuple[str, ...]:
    own = f"Its own past: {figure(one.baseline)}." if one.baseline is not None else "Its own past was not asked, or is not long enough."
    peers = f"Its peers: {figure(one.peers)}." if one.peers is not None else "Peers were not asked, or are too few."
    if one.missing:
        missing = f"Missing: {', '.join(one.missing)}. Without it the value is a floor, and a floor never acts."
    else:
        missing = "Nothing that it asks for was missing."
    return own, peers, missing, _kind(one)


def _kind(one: Finding) -> str:
    if one.deterministic:
        return "It follows from the events alone."
    if one.act == "suspend":
        return "It is counted against a fixed line, and may suspend alone."
    return "It is a judgement: to suspend, it needs a second, independent detector."


def _reach(known: Known) -> tuple[str, ...]:
    one, policy = known.finding, known.policy
    lines = [f"The detector asked for {one.act}" + (f"; the most that it may do alone is {known.meta.most}." if known.meta else ".")]
    lines.append(f"It was in mode {one.mode} then; now it is in mode {policy.mode(one.detector)}.")
    if one.detector in policy.demoted:
        lines.append(f"It was demoted: {policy.demoted[one.detector]}.")
    lines.append(
        f"It was kept from people: {one.suppressed}." if one.suppressed else "No exemption, suppression, grant or storm covered it."
    )
    if policy.is_protected(one.principal):
        lines.append(f"{one.principal} is protected: two people decide.")
    return tuple(lines)


def _decided(known: Known) -> tuple[str, ...]:
    lines: list[str] = []
    for decision in known.decisions:
        attrs = decision["attrs"]
        place = place_text((decision["shard"], decision["index"], decision["pos"]))
        lines.append(f"{str(decision['time'])[:19]}Z, by {attrs.get('by', decision['by'])}: {decision['text']} (event {place})")
        lines += [f"guard {name.removeprefix('guard.')}: {said}" for name, said in sorted(attrs.items()) if name.startswith("guard.")]
    return tuple(lines) or ("Nothing is decided about it yet, or the history does not have it yet.",)


def _said(closed: Closed | None) -> tuple[str, ...]:
    if closed is None:
        return ("Nobody has closed it. `tallystick findings close` does, and teaches how good the detector is.",)
    return (f"{closed.disposition}, by {closed.by} at {closed.at.strftime('%Y-%m-%dT%H:%M:%SZ')}: {closed.reason}",)


def _evidence(known: Known) -> tuple[str, ...]:
    seen = known.evidence or {}
    lines = [f"{place_text(place)}: {_shown(seen.get(place, _NOTHING))}" for place in known.finding.evidence]
    wrong = Counter(one.standing for one in seen.values() if one.standing in _WRONG)
    if wrong:
        what = ", ".join(f"{count} {standing}" for standing, count in sorted(wrong.items()))
        return (
            *lines,
            f"The store does not hold what was signed ({what}). Do not act on it before `tallystick audit verify` has said what is wrong.",
        )
    return (*lines, "What is shown was hashed here and is what its agent signed. `tallystick audit verify` proves the chain above.")


def place_text(place: Place) -> str:
    """As every command writes and takes it: shard:index:pos."""
    return ":".join(map(str, place))


def event_text(raw: bytes) -> str:
    """Time, action, outcome, and what was touched."""
    try:
        event = parse_event(raw)
    except ParseError as error:
        return f"no event: {error}"
    what = f"{event.resource.id} {event.resource.part}" if event.resource.part else event.resource.id
    return f"{event.time[:19]}Z {event.action} {event.outcome} {what}"


def _shown(cited: Cited) -> str:
    if cited.standing in _WRONG:
        return _WRONG[cited.standing]
    if cited.standing == Standing.ERASED:
        return "erased; its hash is still the signed one"
    if cited.standing == Standing.WAITING:
        return "the store does not have it yet"
    return event_text(cited.raw)


def _shipped(source: str) -> str:
    why = source.removeprefix("default").lstrip(":; ")
    return f"as shipped: {why}" if why else "as shipped"


def _otherwise(known: Known) -> tuple[str, ...]:
    one, lines = known.finding, []
    lines.append(
        f"Below {figure(one.threshold)}" + (f" within {window(one.window_s)}" if one.window_s else "") + " it would have said nothing."
    )
    if known.meta is not None:
        given = known.policy.parameters.get(one.detector, {})
        for name, parameter in known.meta.parameters.items():
            source = "from detection.yaml" if name in given else _shipped(parameter.source)
            lines.append(f"{one.detector}.{name} is {figure(given.get(name, parameter.value))} {parameter.unit} now ({source}).")
        lines.append(f"It does not see: {known.meta.blind_spots}")
    for decision in known.decisions:
        others = str(decision["attrs"].get("alternatives", ""))
        lines += [f"Not done: {other}" for other in others.split("; ") if other]
    if one.mode != "auto":
        lines.append("In mode auto it could have acted.")
    return tuple(lines)


def window(seconds: int) -> str:
    """A length of time in the largest unit that divides it."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")
