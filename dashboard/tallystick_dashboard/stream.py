"""The one push to each open page: a persistent websocket callback that sends the tail, the health strip, and news of boards that changed.

A page beats (`assets/console.js`) when it loads, every 20 s, and when it hears nothing for 5 s. Each beat takes the stream over from
the one before it; a stream without a beat ends, because one socket serves all tabs and does not say that a tab was closed.
"""

import asyncio
from secrets import token_hex
from typing import Any, Final

from dash import Input, set_props

from tallystick_schemas.shown import shown

from .feed import tail_cells
from .health import health_strip
from .hub import Hub
from .ui import App

_PUSH_S: Final = 0.2
_LIFE_S: Final = 60.0
_ROWS: Final = 60
_MAX_CLIENTS: Final = 500
_HEALTH_EVERY: Final = 5


class Streams:
    """Which beat of which page is the newest, and how far its tail was sent."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self.cursors: dict[str, int] = {}
        self._process, self._beginnings = token_hex(4), 0

    def boot(self, beginnings: int) -> str:
        """Another one after each beginning of the tail, and with the process: what a page shows of before is not followed by what comes, and it must notice."""
        if beginnings != self._beginnings:
            self._beginnings = beginnings
            self.cursors.clear()
        return f"{self._process}-{beginnings}"

    def take_over(self, client: str) -> int:
        """Number of this beat; every earlier one of the page has to end."""
        number = self._newest.pop(client, 0) + 1
        self._newest[client] = number
        if len(self._newest) > _MAX_CLIENTS:
            old = next(iter(self._newest))
            del self._newest[old]
            self.cursors.pop(old, None)
        return number

    def current(self, client: str, number: int) -> bool:
        """Nobody took over."""
        return self._newest.get(client) == number


def register_stream(app: App, hub: Hub) -> None:
    """Add the push to the app."""
    streams = Streams()

    @app.callback(Input("beat", "data"), websocket=True, persistent=True)
    async def push(beat: dict[str, Any] | None) -> None:
        if not isinstance(beat, dict) or not isinstance(beat.get("client"), str):
            return
        client = beat["client"][:64]
        number = streams.take_over(client)
        versions: dict[str, int] = {}
        for turn in range(int(_LIFE_S / _PUSH_S)):
            if not streams.current(client, number):
                return
            _push_changes(hub, versions)
            if beat.get("tail"):
                _push_tail(hub, streams, client)
            else:
                # Not looking: when the page comes back it gets the newest rows, and nothing counts as missed.
                streams.cursors.pop(client, None)
            if turn % _HEALTH_EVERY == 0:
                _push_health(hub)
            await asyncio.sleep(_PUSH_S)


def _push_changes(hub: Hub, sent: dict[str, int]) -> None:
    now = {"findings": hub.findings.version, "locks": hub.locks.version + hub.orders.version, "history": int(hub.seen.ledger_read or 0)}
    for name, version in now.items():
        if sent.get(name) != version:
            sent[name] = version
            set_props(f"{name}-news", {"data": version})


def _push_tail(hub: Hub, streams: Streams, client: str) -> None:
    tail = hub.tail
    tail.look(hub.clock())
    boot = streams.boot(tail.beginnings)
    cursor = streams.cursors.get(client, 0)
    part = tail.since(cursor, _ROWS)
    # What stood in the ring before this page looked was not missed by it.
    missed = part.missed if client in streams.cursors else 0
    if client in streams.cursors and part.cursor == cursor:
        return
    streams.cursors[client] = part.cursor
    set_props("tail-push", {"data": {"boot": boot, "rows": tail_cells(part.rows), "missed": missed}})


def _push_health(hub: Hub) -> None:
    now = hub.clock()
    items = [[i.key, i.label, shown(i.value), i.level, shown(i.hint)] for i in health_strip(hub.seen, now)]
    rate = hub.tail.rate(now)
    push = {"items": items, "rate": rate if rate is None else round(rate, 1), "now": now}
    push["open"] = len(hub.findings.newest())
    set_props("health-push", {"data": push})
