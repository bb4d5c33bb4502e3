"""A value of a selection, as pySigma parsed it, turned into a test on one of our fields."""

from typing import Any, Final

import re2  # type: ignore[import-untyped]
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SpecialChars,
)

from .fields import Field, find_field
from .limits import MAX_PATTERN, regex_problem
from .matching import Cidr, Exists, FieldTest, Number, Op, Pattern, SameAs

_FLAGS: Final = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_COMPARE: Final[dict[Any, Op]] = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
}
_MAX_NUMBER: Final = 2**53


class Unfit(Exception):
    """A sentence about a value; whoever knows the part adds it."""


def test_of(field: Field, value: Any) -> FieldTest | SameAs:
    """The test; Unfit says why there is none."""
    if isinstance(value, SigmaNull):
        return Exists(False)
    if isinstance(value, SigmaExists):
        return Exists(value.exists)
    if isinstance(value, SigmaFieldReference):
        return _same(field, value)
    if field.kind in ("number", "flag"):
        return _number(field, value)
    if isinstance(value, SigmaCIDRExpression):
        if field.name != "source.ip":
            raise Unfit("cidr is for source.ip alone")
        return Cidr(value.network)
    if isinstance(value, SigmaRegularExpression):
        return _regex(value)
    if isinstance(value, SigmaString):
        return _wildcards(value)
    if isinstance(value, SigmaBool):
        return Pattern(f"(?is)^{str(value.boolean).lower()}$")
    if isinstance(value, SigmaNumber):
        return Pattern(f"(?is)^{re2.escape(str(value.number))}$")
    raise Unfit(f"{type(value).__name__} does not fit the text field {field.name}")


def _number(field: Field, value: Any) -> Number:
    if field.kind == "flag" and isinstance(value, SigmaBool):
        return Number("=", int(value.boolean))
    if field.kind == "flag" and isinstance(value, SigmaString) and str(value).lower() in ("true", "false"):
        return Number("=", int(str(value).lower() == "true"))
    op: Op = "="
    if isinstance(value, SigmaCompareExpression):
        op, value = _COMPARE[value.op], value.number
    if field.kind == "flag" or not isinstance(value, SigmaNumber):
        raise Unfit(f"the value does not fit the {field.kind} field {field.name}")
    number = value.number
    if not isinstance(number, int) or abs(number) > _MAX_NUMBER:
        raise Unfit(f"{number} is not a whole number up to 2^53, and {field.name} holds nothing else")
    return Number(op, number)


def _same(field: Field, value: Any) -> SameAs:
    other = find_field(value.field)
    if other is None:
        raise Unfit(f"the field {value.field!r} is not one that events have; docs/rules.md lists them")
    if value.starts_with or value.ends_with or other.kind != field.kind or field.kind == "list":
        raise Unfit(f"fieldref compares two fields of one kind for equality; {field.name} is a {field.kind}, {other.name} a {other.kind}")
    return SameAs(other)


def _regex(value: Any) -> Pattern:
    source = value.regexp.original
    if (problem := regex_problem(source)) is not None:
        raise Unfit(f"the regular expression is refused: {problem}")
    on = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    off = "".join(letter for letter in "ims" if letter not in on)
    return compiled(f"(?{on}{'-' + off if off else ''}){source}")


def compiled(source: str) -> Pattern:
    """A pattern that RE2 takes; Unfit says why it does not (backreferences, looking around, too large)."""
    try:
        re2.compile(source)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
        raise Unfit(f"the regular expression is not one that RE2 takes: {reason}") from error
    return Pattern(source)


def _wildcards(value: Any) -> Pattern:
    pieces: list[str] = []
    for part in value.s:
        if part is SpecialChars.WILDCARD_MULTI:
            pieces += [] if pieces and pieces[-1] == ".*" else [".*"]
        elif part is SpecialChars.WILDCARD_SINGLE:
            pieces.append(".")
        elif isinstance(part, str):
            pieces.append(re2.escape(part))
        else:
            raise Unfit("placeholders are not supported")
    source = "".join(pieces)
    if len(source) > 2 * MAX_PATTERN:
        raise Unfit(f"the text is longer than {MAX_PATTERN} characters")
    return compiled(f"(?{'s' if isinstance(value, SigmaCasedString) else 'is'})^{source}$")
