"""A rule's own examples: a few lines of YAML made into events, and those run through the engine."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import encode_event, parse_event
from tallystick_schemas.messages import Finding, VerifiedBatch, VerifiedSegment
from tallystick_schemas.signing import wire_time

from ..detectors.base import Rule
from ..detectors.engine import Engine
from ..errors import RuleRefused
from .definition import Example
from .fields import Field, find_field

START_S: Final = 1_767_225_600.0
"""When every example begins: 2026-01-01, the beginning of a pane of every window that divides a day."""
_MAX_EXAMPLES: Final = 32
_MAX_EVENTS: Final = 2000
_PART: Final = "tallystick.examples"
_TIMING: Final = ("at", "every", "repeat")
_DEFAULTS: Final = {
    "action": "artifact.download",
    "outcome": "allowed",
    "actor.principal": "reader@example.org",
    "actor.kind": "human",
    "resource.kind": "model",
    "resource.id": "acme/atlas-7b",
}


def examples_of(path: str, given: Any) -> tuple[Example, ...]:
    """The examples; RuleRefused where one of each kind is not there or an event is not one."""
    if not isinstance(given, list) or not 1 <= len(given) <= _MAX_EXAMPLES:
        raise RuleRefused(path, _PART, f"a list of 2 to {_MAX_EXAMPLES} examples is needed")
    examples, left = [], _MAX_EVENTS
    for number, one in enumerate(given, 1):
        example = _example(path, f"{_PART}[{number}]", one, left)
        left -= len(example.events)
        examples.append(example)
    if {example.expect for example in examples} != {True, False}:
        raise RuleRefused(
            path, _PART, "at least one with `expect: true` and one with `expect: false` are needed: a rule that nobody tried is a guess"
        )
    return tuple(examples)


def _example(path: str, part: str, given: Any, left: int) -> Example:
    if not isinstance(given, Mapping) or not isinstance(given.get("expect"), bool) or set(given) - {"name", "expect", "events"}:
        raise RuleRefused(path, part, "`name`, `expect: true` or `false`, and `events` are what stands in an example")
    events = given.get("events")
    if not isinstance(events, list) or not events:
        raise RuleRefused(path, f"{part}.events", "a list of events is needed")
    made: list[tuple[float, bytes]] = []
    for number, event in enumerate(events, 1):
        made += _events(path, f"{part}.events[{number}]", event, left - len(made))
    return Example(str(given.get("name", part)), given["expect"], tuple(sorted(made, key=lambda one: one[0])))


def _events(path: str, part: str, given: Any, left: int) -> list[tuple[float, bytes]]:
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise RuleRefused(path, part, "an event is a mapping of field names")
    at, every, repeat = (given.get(name, default) for name, default in (("at", 0), ("every", 1), ("repeat", 1)))
    if not all(isinstance(one, int | float) and 0 <= one <= 400 * 86_400 for one in (at, every)) or not isinstance(repeat, int):
        raise RuleRefused(path, part, "`at` and `every` are seconds from 0 up, `repeat` a whole number")
    if not 1 <= repeat <= left:
        raise RuleRefused(path, part, f"`repeat` is {repeat}; all examples of a rule may have {_MAX_EVENTS:,} events")
    fields = _fields(path, part, given)
    return [(at + n * every, _event(path, part, fields, START_S + at + n * every, n)) for n in range(repeat)]


def _fields(path: str, part: str, given: Mapping[str, Any]) -> dict[Field, Any]:
    fields: dict[Field, Any] = {}
    for name, value in [*_DEFAULTS.items(), *given.items()]:
        if name in _TIMING:
            continue
        field = find_field(name)
        if field is None:
            raise RuleRefused(path, f"{part}.{name}", "this is not a field that events have; docs/rules.md lists them")
        fields[field] = value
    return fields


def _event(path: str, part: str, fields: Mapping[Field, Any], time: float, number: int) -> bytes:
    """One event as the record format has it; `{n}` in a text is the number within `repeat`."""
    made: dict[str, Any] = {"v": 1, "salt": to_base64url(bytes(16)), "time": wire_time(time)}
    for field, value in fields.items():
        if field.kind == "text" and value is not None:
            value = (str(value).lower() if isinstance(value, bool) else str(value)).replace("{n}", str(number))  # noqa: PLW2901
        *groups, name = field.path
        holder = made.setdefault(groups[0], {}) if groups else made
        holder[name] = value
    try:
        raw = msgspec.json.encode(made)
        return encode_event(parse_event(raw))
    except (ParseError, TypeError, OverflowError) as error:
        raise RuleRefused(path, part, f"{error}") from error


def run_example(rule: Rule, example: Example) -> list[Finding]:
    """What the rule finds in the example's events, through the engine that the detectors run; each event is taken by the broker at its time."""
    engine = Engine((rule,))
    found: list[Finding] = []
    for index, (at, raw) in enumerate(example.events):
        segment = VerifiedSegment(index, "example", "0" * 32, 0, int((START_S + at) * 1000), [(0, raw)])
        found += engine.process(VerifiedBatch(1, 0, [segment], []))
    return found


def failures(rule: Rule, examples: Sequence[Example]) -> list[str]:
    """One sentence for each example that the rule gets wrong."""
    wrong = []
    for example in examples:
        found = run_example(rule, example)
        if bool(found) is not example.expect:
            what = (
                f"found {found[0].value:g} (line {found[0].threshold:g}) and must find nothing"
                if found
                else "found nothing and must find something"
            )
            wrong.append(f"example {example.name!r}: {what}")
    return wrong
