"""A user's rule as one of the detectors' rules: it reads the whole event, once for all such rules, and keeps a window a group."""

from hashlib import blake2b
from typing import Any, Final

import msgspec

from tallystick_schemas.events import Event
from tallystick_schemas.messages import Finding

from ..detectors.base import Meta, Parameter, State, make_finding
from ..detectors.credentials import one_credential
from ..detectors.facts import Fact
from .definition import UNITS, Definition, Measure
from .fields import Field
from .predicates import actions_of
from .windows import Hit, add, evidence

_MAX_GROUPS: Final = 64
"""A principal; the one that was quiet longest is forgotten first."""
_BLIND: Final = "Whatever its conditions leave out; late by more than 10 min; more than 64 groups a principal at once."
_FEATURE: Final[dict[Measure, str]] = {
    "count": "events",
    "distinct": "distinct_values",
    "sum": "sum",
    "rules": "rules_met",
    "ordered": "steps_met",
}
_decode: Final = msgspec.json.Decoder(Event).decode
"""What the notary accepted with: it cannot fail on a verified event."""


class _Reader:
    """The event of a fact, decoded once although several rules ask for it one after the other."""

    def __init__(self) -> None:
        self._last: tuple[bytes, Event] | None = None

    def event(self, raw: bytes) -> Event:
        last = self._last  # read once: examples run in a thread of their own
        if last is None or last[0] is not raw:
            last = self._last = (raw, _decode(raw))
        return last[1]


_reader: Final = _Reader()


class UserRule:
    """A compiled Definition."""

    def __init__(self, definition: Definition) -> None:
        self.definition, self._window = definition, definition.window
        self._checks = [rule.check() for rule in definition.window.rules]
        self._group = [(field, field.reader()) for field in definition.window.group]
        self._values = [field.reader() for field in definition.window.values[:1]]
        self.meta = _meta(definition)
        self.actions = _actions(definition)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        event = _reader.event(fact.raw)
        rules = [number for number, check in enumerate(self._checks) if check(event)]
        if not rules:
            return None
        value: Any = self._values[0](event) if self._values else 0
        if value is None:
            return None
        if self._window.measure == "distinct":
            value = _digest(text_of(value))
        group = self._group_of(state, "\0".join(group_text(field, read(event)) for field, read in self._group))
        return self._judge(group, fact, (round(fact.time * 1e6), fact.place, tuple(rules), value))

    def _group_of(self, state: State, key: str) -> State:
        """The group's memory; what another text of the rule left behind is dropped."""
        if state.get("version") != self.meta.version:
            state.clear()
            state["version"] = self.meta.version
        groups: dict[str, State] = state.setdefault("groups", {})
        if key not in groups and len(groups) >= _MAX_GROUPS:
            del groups[min(groups, key=lambda name: (groups[name]["newest"], name))]
        return groups.setdefault(key, {})

    def _judge(self, group: State, fact: Fact, hit: Hit) -> Finding | None:
        window = self._window
        credential = one_credential(group, fact.event.actor.credential or "", fact.time, window.span_s)
        found = add(window, group, hit)
        if not found:
            return None
        # A late event can complete several windows at once; they overlap, so one finding tells of them.
        end, value = found[0]
        return make_finding(
            self.meta,
            fact,
            value=value,
            threshold=window.threshold,
            window_s=window.span_s,
            evidence=evidence(window, group, end),
            act=self.definition.act,
            text=self._text(fact.event.actor.principal, value),
            credential=credential,
            features={_FEATURE[window.measure]: value},
        )

    def _text(self, principal: str, value: int) -> str:
        window = self._window
        if window.measure == "count" and window.threshold == 1:
            return f"{principal}: {self.definition.title}."
        unit = UNITS[window.measure] + "".join(f" of {field.name}" for field in window.values)
        return (
            f"{principal}: {self.definition.title}: {value:,} {unit} within {span_text(window.span_s)}; {window.threshold:,} is the line."
        )


def _actions(definition: Definition) -> frozenset[str] | None:
    """Words of the vocabulary that the rules leave open: the engine spares us the rest. None: all."""
    found = [actions_of(rule) for rule in definition.window.rules]
    return None if None in found else frozenset().union(*(one for one in found if one is not None))


def text_of(value: Any) -> str:
    """A text or a number as it is counted and grouped by."""
    return value if isinstance(value, str) else str(value)


def group_text(field: Field, value: Any) -> str:
    """As the store has it: an absent text is '', an absent number 0."""
    return text_of(value) if value is not None else "0" if field.kind == "number" else ""


def span_text(seconds: int) -> str:
    """The largest unit that fits: `90 min`, `2 h`, `7 d`."""
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big") >> 1


def _meta(definition: Definition) -> Meta:
    window = definition.window
    return Meta(
        id=definition.id,
        title=definition.title,
        techniques=definition.techniques,
        severity=definition.severity,
        most=definition.act,
        blind_spots=_BLIND,
        parameters={"line": Parameter(window.threshold, f"{UNITS[window.measure]} in {span_text(window.span_s)}", definition.path)},
        version=definition.version,
    )
