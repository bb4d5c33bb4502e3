"""Bounds on what a rule may ask for, each with the sentence that refuses it."""

from typing import Final

MAX_PATTERN: Final = 512
MAX_VALUES: Final = 500
MIN_SPAN_S: Final = 60
MAX_SPAN_S: Final = 30 * 86_400
MAX_THRESHOLD: Final = 1000
"""Of what is kept one by one: distinct values. A count may go to MAX_COUNT, since it is a number a pane."""
MAX_COUNT: Final = 10**9
MAX_SUM: Final = 2**53
MAX_RULES: Final = 8
PANES: Final = 12
SINGLE_S: Final = 300
"""A rule without a correlation speaks once in so many seconds a principal."""


def regex_problem(source: str) -> str | None:
    """Why a regular expression is refused, or None.

    RE2 takes linear time whatever stands here; other engines that may read the same rule do not, and a rule must mean the same everywhere.
    """
    if len(source) > MAX_PATTERN:
        return f"it is {len(source)} characters long, at most {MAX_PATTERN} are allowed"
    if _nested(source):
        return "a repeat within a repeat takes exponential time in engines that backtrack; write it without the outer one"
    return None


def _nested(source: str) -> bool:
    """A group that repeats holds a repeat: `(a+)+`, `(a|b*)*`, `(x{2,}y)*`."""
    groups = [False]
    at, in_class = 0, False
    while at < len(source):
        char = source[at]
        if char == "\\":
            at += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            at += source[at + 1 : at + 2] == "^"
            at += source[at + 1 : at + 2] == "]"
        elif char == "(":
            groups.append(False)
            at += source[at + 1 : at + 2] == "?"
        elif char == ")" and len(groups) > 1:
            inner = groups.pop()
            repeats = source[at + 1 : at + 2] in ("*", "+", "{")
            if inner and repeats:
                return True
            groups[-1] = groups[-1] or inner
        elif char in "*+{":
            groups[-1] = True
        at += 1
    return False
