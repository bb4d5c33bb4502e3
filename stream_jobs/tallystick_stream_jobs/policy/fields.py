"""Reading a policy's values: each mistake is noted with line, path and mend, and reading goes on, so that all are told at once."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from tallystick_schemas.names import canonical

from .names import ambiguous, bad_glob, canonical_glob
from .yaml_text import Node

T = TypeVar("T")
MAX_ITEMS: Final = 500
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d))?", re.ASCII)
_MISSING: Final = Node(None, 0)


class Fields:
    """One mapping of the file. `take` a key with a check; what nobody took is unknown."""

    def __init__(self, mistakes: list[str], node: Node, path: str) -> None:
        self._mistakes, self._path, self._line = mistakes, path, node.line
        self._values: dict[str, Node] = node.value if isinstance(node.value, dict) else {}
        self._known: list[str] = []
        if not isinstance(node.value, dict) and node.value is not None:
            self.wrong(node.line, "", "is not a mapping of names to values")

    def wrong(self, line: int, key: str, reason: str) -> None:
        """Note a mistake about `key`, or about the mapping itself."""
        path = ".".join(part for part in (self._path, key) if part)
        self._mistakes.append(f"line {line or self._line}, {path or 'the file'}: {reason}")

    def take(self, key: str, check: Callable[[Node], T], default: T | None = None, *, needed: bool = False) -> T | None:
        """The checked value; `default` when it is absent or wrong. `check` raises ValueError with the reason."""
        self._known.append(key)
        node = self._values.get(key, _MISSING)
        if node.value is None:
            if needed:
                self.wrong(node.line, key, "is missing")
            return default
        try:
            return check(node)
        except ValueError as error:
            self.wrong(node.line, key, str(error))
            return default

    def inner(self, key: str) -> "Fields":
        """A mapping within; an empty one when it is absent."""
        self._known.append(key)
        return Fields(self._mistakes, self._values.get(key, _MISSING), ".".join(part for part in (self._path, key) if part))

    def items(self, key: str) -> list["Fields"]:
        """A list of mappings within."""
        self._known.append(key)
        node = self._values.get(key, _MISSING)
        if node.value is None:
            return []
        if not isinstance(node.value, list) or len(node.value) > MAX_ITEMS:
            self.wrong(node.line, key, f"is not a list of at most {MAX_ITEMS} entries (each begins with a dash)")
            return []
        return [Fields(self._mistakes, item, f"{key}[{number}]") for number, item in enumerate(node.value, 1)]

    def names(self) -> dict[str, Node]:
        """Every key, where all names are allowed."""
        self._known += self._values
        return self._values

    def done(self) -> None:
        """Whatever was not asked for is a typing error."""
        for key, node in self._values.items():
            if key not in self._known:
                self.wrong(node.line, key, f"is not known here; there are {', '.join(sorted(set(self._known)))}")


def text(node: Node) -> str:
    if not isinstance(node.value, str) or not node.value.strip():
        raise ValueError("is no text; write some words (in quotes when they look like a number)")
    if len(node.value) > 500:
        raise ValueError(f"has {len(node.value)} characters, at most 500 are allowed")
    return node.value


def name(node: Node) -> str:
    """A principal, role or id: exact, and not to be mistaken for another."""
    if not isinstance(node.value, str):
        raise ValueError(f"is {node.value!r}, which is no name; put it in quotes")
    reason = ambiguous(node.value)
    if reason is None and any(c in node.value for c in "*?"):
        reason = "contains * or ?; names are exact here"
    if reason is not None:
        raise ValueError(f"the name {node.value!r} {reason}")
    return node.value


def principal_name(node: Node) -> str:
    """A principal in the canonical form; `name` says what is refused."""
    return canonical(name(node))


def principal_glob(node: Node) -> str:
    """A pattern of principals, which canonical names are held against."""
    return canonical_glob(glob(node))


def glob(node: Node) -> str:
    if not isinstance(node.value, str) or not node.value:
        raise ValueError(f"is {node.value!r}, which is no pattern; put it in quotes")
    if (reason := bad_glob(node.value)) is not None:
        raise ValueError(f"the pattern {node.value!r} {reason}")
    return node.value


def one_or_more(check: Callable[[Node], str]) -> Callable[[Node], tuple[str, ...]]:
    """A value or a list of such values."""

    def checked(node: Node) -> tuple[str, ...]:
        nodes = node.value if isinstance(node.value, list) else [node]
        if not nodes or len(nodes) > MAX_ITEMS:
            raise ValueError(f"has {len(nodes)} entries, 1 to {MAX_ITEMS} are allowed")
        return tuple(check(item) for item in nodes)

    return checked


def number(low: float, high: float) -> Callable[[Node], float]:
    """A number in the range, both ends included."""

    def checked(node: Node) -> float:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not low <= node.value <= high:
            raise ValueError(f"is {_shown(node)}, which is no number from {low:g} to {high:g}")
        return float(node.value)

    return checked


def whole(low: int, high: int) -> Callable[[Node], int]:
    """A whole number in the range, both ends included."""

    def checked(node: Node) -> int:
        if isinstance(node.value, bool) or not isinstance(node.value, int) or not low <= node.value <= high:
            raise ValueError(f"is {_shown(node)}, which is no whole number from {low} to {high}")
        return node.value

    return checked


def one_of(options: tuple[str, ...]) -> Callable[[Node], str]:
    def checked(node: Node) -> str:
        if node.value not in options:
            raise ValueError(f"is {_shown(node)}; it can be {', '.join(options)}")
        return str(node.value)

    return checked


def instant(node: Node) -> float:
    """A day (its beginning in UTC) or a time with its zone, as seconds since 1970."""
    if isinstance(node.value, str) and _DATE.fullmatch(node.value):
        try:
            parsed = datetime.fromisoformat(node.value)
        except ValueError as error:
            raise ValueError(f"is {node.value!r}: {error}") from error
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    raise ValueError(f"is {_shown(node)}; write a day (2026-12-31) or a time with its zone (2026-12-31T18:00:00Z)")


def _shown(node: Node) -> str:
    return repr(node.value)[:80] if not isinstance(node.value, dict | list) else "a mapping or list"
