"""A mapping: which column or field of a row gives which field of an event. A TOML file, checked once, used for every row.

action = "artifact.download"                      # a constant
principal = "{user}"                              # a column, or a field of JSON: {user.name}
kind = {value = "{bot}", map = {"1" = "service"}, default = "human"}
time = {value = "{date} {time}", format = "%Y-%m-%d %H:%M:%S", zone = "UTC"}   # or iso, epoch, epoch_ms
outcome = {value = "{status}", allowed = "[23]..", denied = "401|403|429"}       # regular expressions; "error" otherwise
[resource]  kind, id, and optionally version, part, collection, sensitivity
[usage]     bytes, objects, tokens_in, tokens_out, duration_ms
[attrs]     any names; beside these: credential, session, ip, user_agent
"""

import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tallystick_schemas.events import Actor, Resource, Source, Usage
from tallystick_schemas.vocabulary import ACTIONS

from ..errors import LineRefused, MappingUnusable
from ..toml_text import parse_toml
from .fields import LogEvent, count_of, time_of

Row = Callable[[str], str]
"""The value of a column or of a path in JSON, "" when it is empty or missing."""

_HOLE: Final = re.compile(r"\{([^{}]+)\}")
_RESOURCE: Final = ("kind", "id", "version", "part", "collection", "sensitivity")
_USAGE: Final = ("bytes", "objects", "tokens_in", "tokens_out", "duration_ms")
_TOP: Final = {"time", "action", "principal", "kind", "credential", "session", "outcome", "ip", "user_agent", "resource", "usage", "attrs"}
_SENSITIVITIES: Final = ("", "public", "internal", "proprietary", "restricted")


class _Field:
    """One value: text with holes, then perhaps a map of what came out."""

    def __init__(self, name: str, given: object, more: tuple[str, ...] = ()) -> None:
        table: dict[str, Any] = given if isinstance(given, dict) else {"value": given}
        unknown = set(table) - {"value", "map", "default", *more}
        if unknown:
            raise ValueError(f"{name} has {', '.join(sorted(unknown))}, which nobody reads")
        value, self.default, self.map = table.get("value", ""), table.get("default", ""), table.get("map", {})
        if not isinstance(value, str | int) or not isinstance(self.default, str) or not isinstance(self.map, dict):
            raise ValueError(f"{name} is neither text nor a table of value, map and default")
        self.value = str(value)
        self.holes = _HOLE.findall(self.value)
        self.mapped = bool(self.map)
        self.table = table

    def __call__(self, row: Row) -> str:
        if not self.holes:
            return self.value
        if not self.mapped and not any(map(row, self.holes)):
            return str(self.default)  # text around nothing names nobody: a row without its user is not the principal "@example.org"
        whole = row(self.holes[0]) if self.value == f"{{{self.holes[0]}}}" else _HOLE.sub(lambda hole: row(hole[1]), self.value)
        if self.mapped:
            return str(self.map.get(whole, self.default))
        return whole or self.default


class RowMapping:
    """A checked mapping; `event` makes a row's event."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        """ValueError, re.error, KeyError say what is wrong."""
        if unknown := set(table) - _TOP:
            raise ValueError(f"{', '.join(sorted(unknown))}: nobody reads that")
        for needed in ("time", "action", "principal", "resource"):
            if needed not in table:
                raise ValueError(f"{needed} is missing")
        self._time = _Field("time", table["time"], ("format", "zone"))
        self._form = str(self._time.table.get("format", "iso"))
        self._zone = ZoneInfo(str(self._time.table.get("zone", "UTC")))
        self._one = {
            name: _Field(name, table.get(name, "")) for name in ("action", "principal", "credential", "session", "ip", "user_agent")
        }
        self._kind = _Field("kind", table.get("kind", "human"))
        self._outcome = _Field("outcome", table.get("outcome", "allowed"), ("allowed", "denied"))
        self._rules = {name: re.compile(self._outcome.table[name]) for name in ("allowed", "denied") if name in self._outcome.table}
        self._resource = _group("resource", table["resource"], _RESOURCE)
        self._usage = _group("usage", table.get("usage", {}), _USAGE)
        self._attrs = _group("attrs", table.get("attrs", {}), None)
        if not self._one["action"].holes and self._one["action"].value not in ACTIONS:
            raise ValueError(f"action {self._one['action'].value!r} is not in the vocabulary")
        if not {"kind", "id"} <= set(self._resource):
            raise ValueError("resource needs kind and id")

    def columns(self) -> set[str]:
        """Every column or path that it reads."""
        fields = [self._time, self._kind, self._outcome, *self._one.values()]
        fields += [*self._resource.values(), *self._usage.values(), *self._attrs.values()]
        return {hole for one in fields for hole in one.holes}

    def event(self, row: Row) -> LogEvent:
        """The row's event; LineRefused."""
        one = {name: field(row) for name, field in self._one.items()}
        for needed in ("action", "principal"):
            if not one[needed]:
                raise LineRefused(f"the row has no {needed}")
        kind = self._kind(row)
        if kind not in ("human", "service", "agent"):
            raise LineRefused(f"the kind {kind[:40]!r} of the principal is not human, service or agent")
        usage = {name: count_of(field(row)) for name, field in self._usage.items()}
        return LogEvent(
            time=time_of(self._time(row), self._form, self._zone),
            action=one["action"],
            actor=Actor(one["principal"], kind, credential=one["credential"] or None, session=one["session"] or None),  # type: ignore[arg-type] # checked above
            resource=self._touched(row),
            outcome=self._judge(row),  # type: ignore[arg-type] # one of the three
            usage=Usage(**usage) if usage else None,  # type: ignore[arg-type] # the names are Usage's counts
            source=Source(ip=one["ip"] or None, user_agent=one["user_agent"] or None) if one["ip"] or one["user_agent"] else None,
            attrs={name: text for name, field in self._attrs.items() if (text := field(row))},
        )

    def _touched(self, row: Row) -> Resource:
        found = {name: text for name, field in self._resource.items() if (text := field(row))}
        if not found.get("kind") or not found.get("id"):
            raise LineRefused("the row has no resource")
        if found.get("sensitivity", "") not in _SENSITIVITIES:
            raise LineRefused(f"the sensitivity {found['sensitivity'][:40]!r} is unknown")
        return Resource(**found)  # type: ignore[arg-type] # the names are Resource's, the sensitivity was checked

    def _judge(self, row: Row) -> str:
        text = self._outcome(row)
        if self._rules:
            return next((name for name, rule in self._rules.items() if rule.fullmatch(text)), "error")
        if text not in ("allowed", "denied", "error"):
            raise LineRefused(f"the outcome {text[:40]!r} is not allowed, denied or error")
        return text


def _group(name: str, given: object, known: tuple[str, ...] | None) -> dict[str, _Field]:
    if not isinstance(given, dict):
        raise ValueError(f"{name} is not a table")
    if known is not None and (unknown := set(given) - set(known)):
        raise ValueError(f"{name}.{', '.join(sorted(unknown))}: nobody reads that")
    return {key: _Field(f"{name}.{key}", value) for key, value in given.items()}


def load_mapping(name: str) -> RowMapping:
    """A mapping that ships with us by its name, or a TOML file by its path; MappingUnusable."""
    shipped = files(__package__) / "mappings" / f"{name}.toml"
    try:
        raw = shipped.read_bytes() if re.fullmatch(r"[a-z0-9_]+", name) and shipped.is_file() else Path(name).read_bytes()
        return RowMapping(parse_toml(raw))
    except FileNotFoundError as error:
        raise MappingUnusable(name, "there is no such file, and none of that name ships with us") from error
    except OSError as error:
        raise MappingUnusable(name, error.strerror or "it cannot be read") from error
    except (ValueError, re.error, ZoneInfoNotFoundError, TypeError) as error:
        raise MappingUnusable(name, str(error)) from error
