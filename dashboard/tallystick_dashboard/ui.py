"""Dash as this package uses it, with the types that it lacks: components take any property, and a callback keeps its function's type.

The one home of what pages show: what a person reads in a component is shown text (`schemas.shown`), while ids, values and acts stay exact.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import dash
import dash_mantine_components

from tallystick_schemas.shown import shown

_READ: Final = frozenset({"title", "label", "description", "placeholder", "error", "alt", "aria-label"})
"""Properties that a person reads, beside the children."""


class _Library:
    """A library of components whose texts are shown, each on one line: a page would make a blank of a line break, and nobody would see it."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Callable[..., Any]:
        make = getattr(self._library, name)

        def component(*children: Any, **props: Any) -> Any:
            read = {key: read_text(value) for key, value in props.items() if key in _READ or key == "children"}
            return make(*map(read_text, children), **{**props, **read})

        return component


def read_text(value: Any) -> Any:
    """What a page may show of a text, or of the texts in a list; components have shown theirs already."""
    if isinstance(value, str):
        return shown(value)
    return [read_text(one) for one in value] if isinstance(value, list | tuple) else value


html: Any = _Library(dash.html)
dcc: Any = _Library(dash.dcc)
dmc: Any = _Library(dash_mantine_components)
Component = Any
"""A Dash component, a text, or a list of them."""

_F = TypeVar("_F", bound=Callable[..., Any])


class App(Protocol):
    """What pages need of a Dash application."""

    def callback(self, *places: Any, **options: Any) -> Callable[[_F], _F]:
        """Run a function on the server when an Input changes; with `websocket=True` over the socket, which does not count as activity."""
        ...

    def clientside_callback(self, script: Any, *places: Any, **options: Any) -> None:
        """Run a function of the browser when an Input changes."""
        ...
