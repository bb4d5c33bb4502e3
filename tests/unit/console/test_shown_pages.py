"""Every page that shows what others wrote: what a browser would obey or hide stands there as an escape, while acts and ids stay exact."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.console import LOG, make_event
from tests.support.hostile import ALL, acts
from tests.support.signing import Speaker, directive, role_key

from tallystick_dashboard.boards import Order
from tallystick_dashboard.feed import TailRow, tail_cells
from tallystick_dashboard.grid import plain
from tallystick_dashboard.hub import Hub
from tallystick_dashboard.intake import take_message
from tallystick_dashboard.pages import closing, dialog, evidence, findings, history, live, locks
from tallystick_dashboard.ports import CheckpointRow, Closing, EntryRow, EvidenceEvent, HistoryView, ShardRow
from tallystick_dashboard.settings import ConsoleSettings
from tallystick_dashboard.shell import frame
from tallystick_dashboard.stream import register_stream
from tallystick_dashboard.ui import html
from tallystick_schemas.blast_radius import GROUPS, Hit, Plan
from tallystick_schemas.events import parse_event
from tallystick_schemas.messages import Decision, Finding, Lock, encode_json
from tallystick_schemas.shown import shown
from tallystick_schemas.signing import wire_time
from tallystick_schemas.standing import Standing
from tallystick_schemas.topics import LOCKS

NOW = 1_800_000_000.0
AT = wire_time(NOW)
READ = ("title", "label", "description", "placeholder", "error", "alt", "aria-label")
SUBJECT = f"principal:{ALL}"
LOCK = Lock(subject=SUBJECT, state="locked", command="c1", reason=ALL, by=ALL, at=AT, finding="F-1")


def found() -> Finding:
    values: dict[str, Any] = {"detector": ALL, "title": ALL, "text": ALL, "principal": ALL, "credential": ALL, "resource": ALL}
    values |= {"collection": ALL, "techniques": [ALL], "evidence": [(0, 0, 0)], "id": "F-1", "time": AT, "severity": "high"}
    return Finding(version=1, value=2, threshold=1, window_s=60, act="alert", deterministic=False, emitted_ms=1, **values)


class Sources:
    """A store that holds what somebody hostile wrote."""

    def evidence(self, places: object) -> list[EvidenceEvent]:
        raw = make_event(NOW, ALL, "artifact.read")
        event = parse_event(raw)
        entry = EntryRow(0, 0, 1, 0, ALL, 1, 1, 1, "l", "c", True)
        return [EvidenceEvent((0, 0, 0), raw, event, "00", entry, None, Standing.HOLDS)]

    def plan(self, subject: str, now: float) -> Plan:
        return Plan(subject, AT, AT, 1, None, **dict.fromkeys(GROUPS, Hit(1, [ALL])))


class Collected:
    """A Dash application that keeps its callbacks by name."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Callable[..., Awaitable[Any]]] = {}

    def callback(self, *_: object, **__: object) -> Callable[[Any], Any]:
        def keep(function: Any) -> Any:
            self.callbacks[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = function
            return function

        return keep

    def clientside_callback(self, *_: object, **__: object) -> None:
        """Nothing of the browser's runs here."""


@pytest.fixture
def hub() -> Hub:
    made = Hub(ConsoleSettings(secret_file="", state_dir=""), LOG, Sources(), SimpleNamespace(), clock=lambda: NOW + 1)  # type: ignore[arg-type]
    made.findings.add(found())
    made.findings.close({"F-1": Closing("other", ALL, ALL, AT)})
    responder = Speaker("responder", deployment=LOG.deployment)
    assert take_message(made, LOCKS, role_key("responder"), directive("responder")) is None
    for lock in (LOCK, Lock(subject=f"credential:{ALL}", state="unlocked", command="c2", reason=ALL, by=ALL, at=AT)):
        key = lock.subject.encode()
        assert take_message(made, LOCKS, key, responder.says(LOCKS, key, encode_json(lock))) is None
    late = wire_time(NOW + 60)
    made.decisions.add(Decision(id="d", at=AT, by=ALL, choice="suspend", subject=SUBJECT, reason=ALL, proposed=LOCK, expires=late))
    made.orders.put(Order("c3", "suspend", SUBJECT, ALL, ALL, NOW, "failed", ALL, None, ALL))
    entry = EntryRow(0, 0, 1, 0, ALL, 1, 1, 1, "l", "c", True)
    made.history = HistoryView((ShardRow(0, 1, 1, 1),), (entry,), (CheckpointRow(ALL, 1, "r", NOW, ALL),))
    made.seen.points = {ALL: 0.0}
    made.seen.checkpoint_problem = ALL
    return made


def texts(node: Any) -> Iterator[str]:
    """What a person reads in what a callback returned; a grid's cells too."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list | tuple):
        for one in node:
            yield from texts(one)
    elif hasattr(node, "to_plotly_json"):
        props = node.to_plotly_json()["props"]
        yield from texts(props.get("children"))
        yield from (props[name] for name in READ if isinstance(props.get(name), str))
        if "data-grid" in props:
            data = json.loads(props["data-grid"])
            yield from (*data["heads"], data["name"])
            yield from drawn(data["rows"])


def drawn(node: Any) -> Iterator[str]:
    """What `grid.js` sets as text or title: not the class, the address, or the act."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for one in node:
            yield from drawn(one)
    else:
        yield node["n"][2]
        yield from drawn(node["k"])


CALLS: dict[str, tuple[Any, ...]] = {
    "live.findings": (None,),
    "live.locks": (None,),
    "findings.show": (None, None, "all"),
    "locks.show": (None,),
    "history.show": (None, "all"),
    "evidence.follow": ("?finding=F-1", False, None),
    "evidence.evidence": ("F-1",),
    "evidence.lock": (None, "F-1"),
    "dialog.start": ({"verb": "suspend", "subject": SUBJECT, "finding": "F-1"},),
    "dialog.show": (SUBJECT, {"verb": "suspend"}),
    "dialog.follow": ("c3", None),
}


def called(hub: Hub, name: str) -> Any:
    app = Collected()
    for page in (live, findings, evidence, closing, locks, history, dialog):
        page.register(app, hub)
    return asyncio.run(app.callbacks[name](*CALLS[name]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(CALLS))
def test_pages_show_it(name: str, hub: Hub) -> None:
    read = [text for text in texts(called(hub, name)) if not text.startswith(("principal:", "credential:")) or name != "dialog.start"]
    assert [text for text in read if acts(text)] == []
    assert any(shown(ALL) in text for text in read)


def test_the_dialog_orders_for_the_exact_name(hub: Hub) -> None:
    """What is read is shown; what is sent when somebody clicks is the subject itself."""
    made = called(hub, "dialog.start")
    radio = made[3].children[0]
    assert (radio.value, made[2]["subject"], made[4]) == (SUBJECT, SUBJECT, SUBJECT)
    assert acts(radio.label) == []


def test_a_button_acts_on_the_exact_name(hub: Hub) -> None:
    waiting = called(hub, "locks.show")[1].children.to_plotly_json()["props"]["data-grid"]
    second_it = json.loads(waiting)["rows"][0][5]["k"][0]["n"]
    assert json.loads(second_it[4])["subject"] == SUBJECT


def test_the_tail_shows_it() -> None:
    [cells] = tail_cells([TailRow(1, 0, 0, 0, make_event(NOW, ALL, "artifact.read"))])
    assert shown(ALL) in cells
    assert [cell for cell in cells if isinstance(cell, str) and acts(cell)] == []


def test_the_frame_shows_who_is_signed_in() -> None:
    assert [text for text in texts(frame(ALL)) if acts(text)] == []


def test_the_health_strip_shows_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: dict[str, Any] = {}
    monkeypatch.setattr("tallystick_dashboard.stream.set_props", lambda name, props: pushed.update({name: props["data"]}))
    app = Collected()
    register_stream(app, hub)  # type: ignore[arg-type]

    async def beat() -> None:
        task = asyncio.ensure_future(app.callbacks["stream.push"]({"client": "c", "tail": True}))
        while "health-push" not in pushed:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(beat())
    said = [text for item in pushed["health-push"]["items"] for text in item]
    assert [text for text in said if acts(text)] == []
    assert any(shown(ALL) in text for text in said)


def test_a_cell_of_mere_text_is_shown() -> None:
    assert plain([ALL, 3]) == [shown(ALL), "3"]


def test_only_what_is_read_is_changed() -> None:
    made = html.Div(["\x1b", html.B("\u202e")], title="\u200b", id="\x1b", **{"data-act": "\x1b"})
    assert (made.children[0], made.children[1].children, made.title) == (r"\x1b", r"\u202e", r"\u200b")
    assert (made.id, made.to_plotly_json()["props"]["data-act"]) == ("\x1b", "\x1b")
