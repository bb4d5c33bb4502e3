"""Dash as this package uses it, with the types that it lacks: components take any property, and a callback keeps its function's type."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import dash

html: Any = dash.html
dcc: Any = dash.dcc
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
