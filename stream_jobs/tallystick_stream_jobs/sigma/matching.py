"""Tests on one field, each in two forms that agree: a function of the value, and an expression of SQL.

Text is matched by RE2 in both (google-re2 here, ClickHouse's `match` there), so that case folding and classes are the same and time is linear.
A field that is absent or null passes no test but `null` and `exists: false`. In the store it is '' or 0, so a test that '' or 0 would pass
asks for the field's presence as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final, Literal, Protocol

import re2  # type: ignore[import-untyped]

from .fields import Field, Value

Op = Literal["=", "<", "<=", ">", ">="]
_OPS: Final[dict[str, Callable[[int, int], bool]]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_REMEMBERED: Final = 1024
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"^(?:{_OCTET}\.){{3}}{_OCTET}$"
"""What Python takes for an address: no leading zeros. ClickHouse alone would be laxer."""


@dataclass
class Bind:
    """Values of a statement: each becomes a parameter, none is ever pasted into it."""

    values: dict[str, str | int] = field(default_factory=dict)

    def text(self, value: str) -> str:
        return self._add(value, "String")

    def number(self, value: int) -> str:
        return self._add(value, "Int64")

    def _add(self, value: str | int, kind: str) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"

    def path(self, of: Field) -> str:
        return ", ".join(self.text(key) for key in of.path)


class FieldTest(Protocol):
    """A test on one field."""

    def holds(self, value: Value) -> bool:
        """Whether the value passes."""
        ...

    def sql(self, of: Field, bind: Bind) -> str:
        """The same as a condition on a row of `events`."""
        ...


def column(of: Field, bind: Bind) -> str:
    """The field's value in SQL, by the event's bytes and not the column that the store derived; '' or 0 where it is absent."""
    kinds = {"text": "'String'", "number": "'UInt64'", "flag": "'Bool'", "list": "'Array(String)'"}
    return f"JSONExtract(raw, {bind.path(of)}, {kinds[of.kind]})"


def present(of: Field, bind: Bind) -> str:
    """Whether the event has the field, and not null."""
    return f"JSONType(raw, {bind.path(of)}) != 'Null'"


def _guarded(of: Field, bind: Bind, condition: str, zero_passes: bool) -> str:
    return f"({present(of, bind)} AND {condition})" if zero_passes else condition


@dataclass(frozen=True)
class Pattern:
    """An RE2 expression that is found in the text; in one of the texts of a list."""

    source: str

    @cached_property
    def _find(self) -> Callable[[str], Any]:
        find: Callable[[str], Any] = re2.compile(self.source).search
        return find

    @cached_property
    def _remembered(self) -> dict[str, bool]:
        return {}

    def holds(self, value: Value) -> bool:
        if isinstance(value, list):
            return any(self.holds(one) for one in value)
        if not isinstance(value, str):
            return False
        known = self._remembered.get(value)
        if known is None:
            # Most fields hold few different texts; the ones that hold many must not fill the memory.
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            known = self._remembered[value] = self._find(value) is not None
        return known

    def sql(self, of: Field, bind: Bind) -> str:
        if of.kind == "list":
            return f"arrayExists(x -> match(x, {bind.text(self.source)}), {column(of, bind)})"
        return _guarded(of, bind, f"match({column(of, bind)}, {bind.text(self.source)})", self.holds(""))


@dataclass(frozen=True)
class Number:
    """A whole number compared with one; a flag counts as 0 or 1."""

    op: Op
    number: int

    def holds(self, value: Value) -> bool:
        return isinstance(value, int) and _OPS[self.op](int(value), self.number)

    def sql(self, of: Field, bind: Bind) -> str:
        return _guarded(of, bind, f"{column(of, bind)} {self.op} {bind.number(self.number)}", self.holds(0))


@dataclass(frozen=True)
class Exists:
    """The field is there and not null, or is not."""

    exists: bool

    def holds(self, value: Value) -> bool:
        return (value is not None) is self.exists

    def sql(self, of: Field, bind: Bind) -> str:
        return present(of, bind) if self.exists else f"NOT ({present(of, bind)})"


@dataclass(frozen=True)
class Cidr:
    """An address within a network of its own version."""

    network: IPv4Network | IPv6Network

    def holds(self, value: Value) -> bool:
        if not isinstance(value, str) or "%" in value:
            return False
        try:
            return ip_address(value) in self.network
        except ValueError:
            return False

    def sql(self, of: Field, bind: Bind) -> str:
        name, first, last = column(of, bind), int(self.network.network_address), int(self.network.broadcast_address)
        if self.network.version == 4:
            between = f"BETWEEN {bind.number(first)} AND {bind.number(last)}"
            return f"(match({name}, {bind.text(_IPV4)}) AND IPv4StringToNumOrDefault({name}) {between})"
        between = f"BETWEEN {bind.text(f'{first:032X}')} AND {bind.text(f'{last:032X}')}"
        return f"(isIPv6String({name}) AND hex(IPv6StringToNumOrDefault({name})) {between})"


@dataclass(frozen=True)
class SameAs:
    """Both fields are there and hold the same; compared by the predicate, which has the event."""

    other: Field

    def sql(self, of: Field, bind: Bind) -> str:
        return f"({present(of, bind)} AND {present(self.other, bind)} AND {column(of, bind)} = {column(self.other, bind)})"
