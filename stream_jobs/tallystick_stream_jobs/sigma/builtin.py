"""Built-in detectors whose line is a window: the same panes, as SQL. What a detector weighs beside its line is not in it, and is said."""

from dataclasses import dataclass
from typing import Final

from ..detectors.base import Act, Rule
from ..detectors.facts import OBJECT_ACTIONS
from .definition import Window
from .fields import Field, find_field
from .matching import FieldTest, Number, Pattern
from .predicates import Every, Match, Not, Predicate, Some


@dataclass(frozen=True)
class BuiltinWindow:
    """A line, and what crossing it asks for."""

    window: Window
    act: Act


@dataclass(frozen=True)
class Builtin:
    """The windows of a detector, and what it weighs beside them, as a sentence."""

    windows: list[BuiltinWindow]
    means: str


def _field(name: str) -> Field:
    found = find_field(name)
    assert found is not None
    return found


def _is(name: str, *words: str) -> Predicate:
    tests: list[FieldTest] = [Pattern(f"^{word}$".replace(".", "[.]")) for word in words]
    return Some(tuple(Match(_field(name), test) for test in tests)) if len(tests) > 1 else Match(_field(name), tests[0])


_ALLOWED: Final = _is("outcome", "allowed")
_OBJECT: Final = Every(
    (
        _ALLOWED,
        _is("action", *sorted(OBJECT_ACTIONS)),
        Not(Every((_is("action", "access.check"), Not(Match(_field("usage.objects"), Number(">", 0)))))),
    )
)
"""`detectors.facts.object_key`: an object was touched with leave; a decision alone does not touch one."""
_OBJECT_KEY: Final = tuple(map(_field, ("resource.kind", "resource.id", "resource.version", "resource.part")))
_MOVED: Final = Every((_ALLOWED, _is("action", "artifact.download", "artifact.read", "artifact.copy", "dataset.read", "dataset.export")))


def builtin_windows(rule: Rule) -> Builtin | None:
    """The windows of a built-in detector with the thresholds that it has; None where it is more than a line."""
    line = {name: int(parameter.value) for name, parameter in rule.meta.parameters.items()}
    if rule.meta.id == "D01":
        window = Window((_OBJECT,), "distinct", line["alert"], 3600, 12, (), _OBJECT_KEY)
        return Builtin(
            [BuiltinWindow(window, "alert")],
            "the line for alerts; the own maximum and the peers, which only step-up asks for, are left out.",
        )
    if rule.meta.id == "D02":
        window = Window((_MOVED,), "sum", line["floor"] + 1, 3600, 6, (), (_field("usage.bytes"),))
        return Builtin(
            [BuiltinWindow(window, "alert")],
            "the absolute floor; the own hours and the collection's size, which only raise it, are left out.",
        )
    if rule.meta.id == "D10":
        calls = Every((_ALLOWED, _is("action", "model.infer")))
        model = (_field("resource.id"), _field("resource.version"))
        return Builtin(
            [BuiltinWindow(Window((calls,), "count", line["hour"], 3600, 12, model), "alert")],
            "the line of an hour's calls; the day's, with its share of distinct prompts, is left out.",
        )
    if rule.meta.id == "D13":
        decoy = Every((_OBJECT, Match(_field("attrs.canary"), Pattern("^true$"))))
        return Builtin([BuiltinWindow(Window((decoy,)), "suspend")], "the detector's whole condition, told once in five minutes.")
    return None
