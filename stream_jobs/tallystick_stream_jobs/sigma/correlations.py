"""A Sigma correlation as a window over one principal's matching events."""

from collections.abc import Mapping
from typing import Any, Final

from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationConditionOperator, SigmaCorrelationRule

from ..errors import RuleRefused
from .definition import Measure, Window
from .fields import PRINCIPAL, Field, find_field
from .limits import MAX_COUNT, MAX_RULES, MAX_SPAN_S, MAX_SUM, MAX_THRESHOLD, MIN_SPAN_S, PANES
from .predicates import Predicate, Some

_MEASURES: Final[Mapping[str, Measure]] = {
    "EVENT_COUNT": "count",
    "VALUE_COUNT": "distinct",
    "VALUE_SUM": "sum",
    "TEMPORAL": "rules",
    "TEMPORAL_ORDERED": "ordered",
}
_MOST: Final[Mapping[Measure, int]] = {
    "count": MAX_COUNT,
    "distinct": MAX_THRESHOLD,
    "sum": MAX_SUM,
    "rules": MAX_RULES,
    "ordered": MAX_RULES,
}


def window_of(path: str, rule: SigmaCorrelationRule, named: Mapping[str, Predicate]) -> Window:
    """The window; `named` are the file's own rules by name and id. RuleRefused names the part."""
    measure = _MEASURES.get(rule.type.name)
    if measure is None:
        raise RuleRefused(path, "correlation.type", f"{rule.type.name.lower()} is not supported; {', '.join(_MEASURES).lower()} are")
    if rule.aliases is not None and rule.aliases.to_dict():
        raise RuleRefused(path, "correlation.aliases", "aliases are not needed here: all events have the same fields; remove them")
    rules = _rules(path, rule, named)
    return Window(
        rules=(_joined(rules),) if measure in ("count", "distinct", "sum") else rules,
        measure=measure,
        threshold=_threshold(path, rule.condition, measure, len(rules)),
        span_s=_span(path, rule.timespan.seconds),
        panes=PANES,
        group=_group(path, rule.group_by),
        values=_values(path, rule.condition, measure),
    )


def _joined(rules: tuple[Predicate, ...]) -> Predicate:
    return rules[0] if len(rules) == 1 else Some(rules)


def _rules(path: str, rule: SigmaCorrelationRule, named: Mapping[str, Predicate]) -> tuple[Predicate, ...]:
    references = [one.reference for one in rule.rules or ()]
    if not 1 <= len(references) <= MAX_RULES:
        raise RuleRefused(path, "correlation.rules", f"between 1 and {MAX_RULES} rules are needed, listed by name")
    for reference in references:
        if reference not in named:
            raise RuleRefused(path, "correlation.rules", f"{reference!r} is not the name of a plain rule in this file")
    return tuple(named[reference] for reference in references)


def _threshold(path: str, condition: Any, measure: Measure, rules: int) -> int:
    part = "correlation.condition"
    if not isinstance(condition, SigmaCorrelationCondition):
        raise RuleRefused(path, part, "a condition as text is not supported; all rules of the list must match, or `gte: n` of them")
    least = {SigmaCorrelationConditionOperator.GTE: 0, SigmaCorrelationConditionOperator.GT: 1}.get(condition.op)
    if least is None:
        reason = "the stream would have to wait for what does not come; gt and gte are supported"
        raise RuleRefused(path, part, f"{condition.op.name.lower()} is not supported: {reason}")
    if not isinstance(condition.count, int):
        raise RuleRefused(path, part, f"{condition.count} is not a whole number")
    threshold = condition.count + least
    most = min(_MOST[measure], rules) if measure in ("rules", "ordered") else _MOST[measure]
    if not 1 <= threshold <= most:
        raise RuleRefused(path, part, f"the line would be {threshold:,}; it must be from 1 to {most:,}")
    if measure == "ordered" and threshold != rules:
        raise RuleRefused(path, part, "temporal_ordered needs all of its rules; leave the condition out")
    return threshold


def _span(path: str, seconds: int) -> int:
    if not MIN_SPAN_S <= seconds <= MAX_SPAN_S:
        raise RuleRefused(path, "correlation.timespan", f"{seconds:,} s; from 1 minute to 30 days is what a detector's memory holds")
    return seconds


def _group(path: str, names: list[str] | None) -> tuple[Field, ...]:
    part, fields = "correlation.group-by", []
    for name in names or ():
        field = find_field(name)
        if field is None:
            raise RuleRefused(path, part, f"the field {name!r} is not one that events have; docs/rules.md lists them")
        if field.kind in ("list", "flag"):
            raise RuleRefused(path, part, f"{field.name} is a {field.kind}, and groups are made of texts and numbers")
        fields.append(field)
    if PRINCIPAL not in {field.name for field in fields}:
        raise RuleRefused(
            path, part, f"{PRINCIPAL} (or `user`) must be in it: a detector's memory is one principal's, so it can't count across them"
        )
    return tuple(field for field in dict.fromkeys(fields) if field.name != PRINCIPAL)


def _values(path: str, condition: Any, measure: Measure) -> tuple[Field, ...]:
    if measure not in ("distinct", "sum"):
        return ()
    part, name = "correlation.condition.field", condition.fieldref
    if not isinstance(name, str):
        raise RuleRefused(path, part, "one field is needed, by name")
    field = find_field(name)
    if field is None:
        raise RuleRefused(path, part, f"the field {name!r} is not one that events have; docs/rules.md lists them")
    if field.kind in ("list", "flag") or (measure == "sum" and field.kind != "number"):
        raise RuleRefused(
            path, part, f"{field.name} is a {field.kind}; {'numbers can be summed' if measure == 'sum' else 'texts and numbers counted'}"
        )
    return (field,)
