"""A Sigma rule's selections and condition as a predicate on one event."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR

from ..errors import RuleRefused
from .fields import find_field
from .limits import MAX_VALUES
from .predicates import Every, Match, Not, Predicate, Some
from .values import Unfit, test_of

MODIFIERS: Final = frozenset(
    {"all", "cased", "cidr", "contains", "endswith", "exists", "fieldref", "gt", "gte", "lt", "lte", "neq", "startswith"}
)
_REGEX: Final = frozenset({"re", "i", "ignorecase", "m", "multiline", "s", "dotall", "all", "neq"})
_MAX_CONDITION: Final = 1000
_MAX_BRACKETS: Final = 16


def check_detection(path: str, detection: Any) -> None:
    """Refuse what pySigma takes and we do not, by the names that stand in the file: keywords, fields, modifiers, sizes."""
    if not isinstance(detection, Mapping):
        raise RuleRefused(path, "detection", "it is not a mapping of selections and a condition")
    condition = detection.get("condition")
    if not isinstance(condition, str):
        raise RuleRefused(path, "detection.condition", "one condition is needed, as text")
    if len(condition) > _MAX_CONDITION or condition.count("(") > _MAX_BRACKETS:
        raise RuleRefused(path, "detection.condition", f"more than {_MAX_CONDITION} characters or {_MAX_BRACKETS} brackets")
    count = 0
    for name, selection in detection.items():
        if name == "condition":
            continue
        for key, value in _items(path, f"detection.{name}", selection):
            count += len(value) if isinstance(value, list) else 1
            _check_key(path, f"detection.{name}.{key}", str(key), value)
    if count > MAX_VALUES:
        raise RuleRefused(path, "detection", f"{count} values are compared, at most {MAX_VALUES} are allowed")


def _items(path: str, part: str, selection: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(selection, Mapping) and selection:
        yield from selection.items()
    elif isinstance(selection, list) and selection and all(isinstance(one, Mapping) and one for one in selection):
        for one in selection:
            yield from one.items()
    else:
        raise RuleRefused(path, part, "keywords without a field are not supported; name the field")


def _check_key(path: str, part: str, key: str, value: Any) -> None:
    name, *modifiers = key.split("|")
    if find_field(name) is None:
        raise RuleRefused(path, part, f"the field {name!r} is not one that events have; docs/rules.md lists them")
    allowed = _REGEX if "re" in modifiers else MODIFIERS
    for modifier in modifiers:
        if modifier not in allowed:
            raise RuleRefused(path, part, f"the modifier {modifier!r} is not supported{' with re' if 're' in modifiers else ''}")
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str | int | float | bool | None) or ("re" in modifiers and not isinstance(one, str)):
            raise RuleRefused(path, part, f"{type(one).__name__} is not a value that can be compared")


def predicate_of(path: str, condition: Any) -> Predicate:
    """pySigma's tree of a condition as ours; RuleRefused names the field."""
    if isinstance(condition, ConditionAND):
        return Every(tuple(predicate_of(path, one) for one in condition.args))
    if isinstance(condition, ConditionOR):
        return Some(tuple(predicate_of(path, one) for one in condition.args))
    if isinstance(condition, ConditionNOT):
        return Not(predicate_of(path, condition.args[0]))
    if not isinstance(condition, ConditionFieldEqualsValueExpression):
        raise RuleRefused(path, "detection.condition", "keywords without a field are not supported; name the field")
    field = find_field(condition.field)
    assert field is not None  # check_detection has seen every key
    try:
        return Match(field, test_of(field, condition.value))
    except Unfit as error:
        raise RuleRefused(path, f"detection, field {condition.field}", str(error)) from error
