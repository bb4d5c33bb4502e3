"""What a connector's `build` is given: its table, its secrets, and the way out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import build

from .http import Http
from .whom import Names, Protected

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Common:
    """Settings that every connector has. `timeout_s` bounds each step of an exchange; `cafile` are further roots to trust, as PEM."""

    kind: str
    allow_private: bool = False
    timeout_s: float = 10.0
    cafile: str | None = None


@dataclass(frozen=True)
class Setup:
    """One table `[NAME]` of connectors.toml. `read_secret` gives the content of a file in keys/, and refuses one that others can read."""

    name: str
    table: Mapping[str, Any]
    read_secret: Callable[[str], bytes]
    deployment: str
    protected: Protected = frozenset

    def settings(self, kind: type[T], **given: Any) -> T:
        """The connector's settings; SettingsError with every mistake. `given`: fields that TOML holds in another shape."""
        table = {name: value for name, value in self.table.items() if name not in given}
        return build(kind, self.name, table, {}, given)

    def http(self, settings: Common) -> Http:
        return Http(allow_private=settings.allow_private, timeout_s=settings.timeout_s, cafile=settings.cafile)

    def secret(self, file: str, least: int = 1) -> str:
        """A secret of at least `least` characters, without the line's end."""
        content = self.read_secret(file).decode("utf-8", "replace").strip()
        if len(content) < least:
            raise SettingsError([f"[{self.name}] the secret in keys/{file} is shorter than {least} characters"])
        return content

    def names(self, field: str) -> Names:
        """A table of the form principal -> name there; empty when there is none."""
        given = self.table.get(field, {})
        if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
            raise SettingsError([f"[{self.name}] {field} is not a table of names"])
        return Names(self.name, field, given, self.protected)

    def without(self, *fields: str) -> "Setup":
        """The same without tables of names: what `settings` takes."""
        return replace(self, table={name: value for name, value in self.table.items() if name not in fields})
