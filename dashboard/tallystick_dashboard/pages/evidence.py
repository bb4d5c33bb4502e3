"""The drawer of one finding: what was measured, the events that show it and where they stand in the chain, and the lock."""

import asyncio
import itertools
from collections import Counter
from typing import Any
from urllib.parse import parse_qs

from dash import ClientsideFunction, Input, Output, State, no_update, set_props

from tallystick_schemas.events import Event
from tallystick_schemas.messages import Finding
from tallystick_schemas.probes import is_probe
from tallystick_schemas.standing import Standing
from tallystick_schemas.verdicts import Verdict
from tallystick_schemas.words import counted

from ..errors import SourceUnavailable
from ..grid import table
from ..hub import Hub
from ..parts import act_button, badge, bytes_text, clock_time, empty, level_badge, lift_button, mono, no_end, number, short_hash, skeleton
from ..ports import EvidenceEvent
from ..ui import App, Component, dcc, html
from ..whom import lock_of, subject_of, told_by_part
from . import closing

_SHOWN = 100
_AS_SIGNED = frozenset({Standing.HOLDS, Standing.ERASED, Standing.WAITING})
_MEANS = {
    Standing.CHANGED: "its bytes are not what its agent signed",
    Standing.REMOVED: "its agent signed an event here, and the store has none",
    Standing.UNPROVEN: "its segment's events do not fold to the root that its agent signed",
}


def register(app: App, hub: Hub) -> None:
    """Open by address, fill, and close by address."""
    _register_drawer(app, hub)
    _register_contents(app, hub)


def _register_drawer(app: App, hub: Hub) -> None:
    @app.callback(
        Output("drawer", "opened"),
        Output("drawer", "title"),
        Output("drawer", "children"),
        Input("url", "search"),
        State("drawer", "opened"),
        State("evidence-of", "data", allow_optional=True),
    )
    async def follow(search: str | None, opened: bool, shown: str | None) -> tuple[Any, Any, Any]:
        wanted = _wanted(search)
        if not wanted:
            return (False if opened else no_update), no_update, no_update
        finding = hub.findings.get(wanted)
        if opened and shown == wanted:
            return no_update, no_update, no_update
        if finding is None:
            text = "It may be older than what the console remembers, or still on its way: then it is shown here when it comes."
            return True, "Finding", empty("This finding is not known", text)
        return True, _title(finding), _body(hub, finding)

    @app.callback(
        Input("findings-news", "data"),
        State("url", "search"),
        State("drawer", "opened"),
        State("evidence-of", "data", allow_optional=True),
        websocket=True,
    )
    async def arrive(_news: int | None, search: str | None, opened: bool, shown: str | None) -> None:
        """Follow the address again when its finding came after the page: somebody was sent the link at once."""
        wanted = _wanted(search)
        if opened and wanted != shown and hub.findings.get(wanted) is not None:
            set_props("url", {"search": search})

    # In the browser: an answer from here would come when somebody has opened the next finding already, and close that. Not an Output:
    # with a circle of callbacks, url to drawer to url, Dash 4.4 never calls the first one again.
    app.clientside_callback(ClientsideFunction("tallystick", "closed"), Input("drawer", "opened"), prevent_initial_call=True)


def _register_contents(app: App, hub: Hub) -> None:
    @app.callback(Output("drawer-evidence", "children"), Input("evidence-of", "data"))
    async def evidence(finding_id: str) -> Component:
        finding = hub.findings.get(finding_id)
        if finding is None:
            return no_update
        try:
            found = await asyncio.to_thread(hub.sources.evidence, finding.evidence[-_SHOWN:])
        except SourceUnavailable as error:
            return empty("The evidence cannot be read now", f"{error} Open the finding again in a moment.")
        return _evidence(finding, found)

    @app.callback(Output("drawer-lock", "children"), Input("locks-news", "data"), Input("evidence-of", "data"), websocket=True)
    async def lock(_news: int | None, finding_id: str) -> Component:
        finding = hub.findings.get(finding_id)
        # Never no_update over the socket: Dash 4.4 takes a callback that updates nothing for one that still runs, and calls it no more.
        return "" if finding is None else _lock(hub, finding)


def _wanted(search: str | None) -> str:
    """Id of the finding that an address asks for, or nothing."""
    return parse_qs((search or "").lstrip("?")).get("finding", [""])[0]


def _title(finding: Finding) -> Component:
    return html.Div([badge(finding.severity, finding.severity), html.Span(finding.title)], className="drawer-title")


def _bar(finding: Finding) -> list[Component]:
    """How far the measure is over the threshold; nothing where it is not over it, as where something is missing."""
    if finding.value <= 0 or finding.value < finding.threshold:
        return []
    mark = html.Div(className="bar-mark", style={"left": f"{finding.threshold / finding.value:.1%}"})
    return [html.Div(mark, className=f"bar tone-{finding.severity}")]


def _measure(finding: Finding) -> Component:
    """What was counted; nothing where nothing was: who tells that something is missing, or is about nobody, has no figure."""
    if told_by_part(finding) and not _bar(finding):
        return None
    over = f", over {_window(finding)}" if finding.window_s else ""
    return html.Div(
        [
            html.Div([html.B(number(finding.value)), html.Span(f"measured, threshold {number(finding.threshold)}{over}")]),
            *_bar(finding),
            html.Div([html.Span(text, className="quiet") for text in _compared(finding)], className="compared"),
        ],
        className="measure",
    )


def _facts(finding: Finding) -> list[tuple[str, Component]]:
    if told_by_part(finding):
        subject = subject_of(finding)
        about = [
            ("About", mono(subject) if subject else html.Span("our own part", className="quiet")),
            ("Told by", mono(finding.principal)),
        ]
    else:
        about = [
            ("Principal", mono(finding.principal)),
            ("Credential", mono(finding.credential) if finding.credential else html.Span("not named", className="quiet")),
            ("Resource", mono(finding.resource) if finding.resource else html.Span("several", className="quiet")),
            ("Collection", mono(finding.collection) if finding.collection else html.Span("none", className="quiet")),
        ]
    techniques = [html.Span(t, className="tag") for t in finding.techniques]
    return [
        *about,
        ("Detector", mono(f"{finding.detector} v{finding.version}")),
        ("Time", clock_time(finding.time)),
        ("Techniques", html.Span(techniques) if techniques else html.Span("none", className="quiet")),
        ("Finding", mono(finding.id)),
    ]


def _body(hub: Hub, finding: Finding) -> Component:
    return html.Div(
        [
            dcc.Store(id="evidence-of", data=finding.id),
            html.Div(id="drawer-lock", className="lock-bar"),
            html.P(finding.text, className="finding-text"),
            _measure(finding),
            html.Dl([html.Div([html.Dt(k), html.Dd(v)]) for k, v in _facts(finding)], className="facts"),
            html.H2("Evidence"),
            html.Div(skeleton(6), id="drawer-evidence"),
            html.H2("Closed" if hub.findings.closing(finding.id) else "Close it"),
            closing.form(hub.findings.closing(finding.id)),
        ],
        className="finding",
    )


def _window(finding: Finding) -> str:
    seconds = finding.window_s
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def _compared(finding: Finding) -> list[str]:
    found = []
    if finding.baseline is not None:
        found.append(f"usually {number(finding.baseline)}")
    if finding.peers is not None:
        found.append(f"peers {number(finding.peers)}")
    found.append(_kind(finding))
    return found


def _lock(hub: Hub, finding: Finding) -> Component:
    lock, subject = lock_of(finding, hub.locks, hub.clock()), subject_of(finding)
    if lock is None:
        if subject is None:
            said = f"Our own part {finding.principal} tells this. Its sentence says what to look at."
            return [html.Div([html.B("Nobody to lock"), html.Span(said, className="quiet")])]
        whose = f"Requests of {subject} are served." if told_by_part(finding) else "Requests of this principal are served."
        return [
            html.Div([html.B("Not locked"), html.Span(whose, className="quiet")]),
            act_button("suspend", subject, finding.id, "Lock", prominent=True),
        ]
    until = f"until {lock.until[11:19]} UTC" if lock.until else no_end(lock)
    why = "" if lock.reason == finding.text else lock.reason  # an automatic lock's reason is the sentence right below
    said = html.Span(["by ", html.Bdi(lock.by), f", {until}. ", html.Bdi(why)], className="quiet")
    return [html.Div([html.B(["Locked: ", mono(lock.subject), " ", level_badge(lock)]), said]), lift_button(lock, finding.id)]


def _kind(finding: Finding) -> str:
    if finding.deterministic:
        return "follows from the events alone"
    return "counted against a fixed line" if finding.act == "suspend" else "a judgement from habits"


def _evidence(finding: Finding, found: list[EvidenceEvent]) -> Component:
    if not finding.evidence:
        return empty("No event is cited", "It is about something that no event shows; the sentence above says what.")
    if not found:
        text = (
            f"The finding cites {counted(len(finding.evidence), 'event')} and the ledger does not hold them yet. Open it again in a moment."
        )
        return empty("Not in the ledger yet", text)
    heads = ["Time (UTC)", "Action", "Outcome", "Part", "Bytes", "Address", "Place", "Sealed", "Event hash"]
    rows = [_event_row(item) for item in found]
    return [_vouched(finding, found), table(*_without_empty(heads, rows), "Evidence")]


def _vouched(finding: Finding, found: list[EvidenceEvent]) -> Component:
    """What was checked here, and what came of it."""
    cited = len(finding.evidence)
    wrong = Counter(item.standing for item in found if item.standing not in _AS_SIGNED)
    if wrong:
        what = ", ".join(f"{count} {standing}" for standing, count in sorted(wrong.items()))
        said = f"Of {counted(cited, 'cited event')}, {what}: the store does not hold what was signed."
        mend = " Do not act on it before tallystick audit verify has said what is wrong."
        return html.P(said + mend, className="alarm", role="alert")
    shown = "It was" if cited == len(found) == 1 else f"{len(found)} of {counted(cited, 'cited event')}, oldest first. Each was"
    said = f"{shown} hashed here and is what its agent signed. The chain above is proven by tallystick audit verify."
    return html.P(said, className="quiet")


def _without_empty(heads: list[str], rows: list[list[Component]]) -> tuple[list[str], list[list[Component]]]:
    """Without the columns that say nothing about any of these events: decisions move no bytes, log lines have no address."""
    said = [any(_text(row[at]) for row in rows) for at in range(len(heads))]
    return list(itertools.compress(heads, said)), [list(itertools.compress(row, said)) for row in rows]


def _text(cell: Component) -> str:
    """What a cell shows, of text and components around text."""
    if isinstance(cell, list):
        return "".join(map(_text, cell))
    return cell if isinstance(cell, str) else _text(getattr(cell, "children", None) or "")


def _outcome(event: Event) -> Component:
    # What was allowed is what the reader expects: colour is kept for the rest.
    if event.outcome == "allowed":
        return html.Span(event.outcome, className="quiet")
    if is_probe(event):
        return html.Span(event.outcome, className="badge badge-quiet", title="Tallystick itself asked: the lock holds")
    return badge(event.outcome, "critical" if event.outcome == "denied" else "high")


def _event_row(item: EvidenceEvent) -> list[Component]:
    event, entry = item.event, item.entry
    place = ":".join(map(str, item.place))
    if event is None:
        what = "no event" if item.raw else "no bytes"
        return [
            html.Span(what, className="quiet"),
            "",
            "",
            "",
            "",
            "",
            mono(place),
            _standing(item),
            short_hash(item.leaf, 8) if item.leaf else "",
        ]
    verdict = Verdict(entry.verdict).label if entry else "no entry"
    where = f"agent {entry.agent}, record {entry.n}, {verdict}, chain {entry.chain}" if entry else "the ledger has no entry here"
    return [
        html.Span(event.time[11:23], className="time", title=event.time),
        html.Span([mono(event.action), " probe"]) if is_probe(event) else mono(event.action),
        _outcome(event),
        mono(event.resource.part or event.resource.id),
        html.Span(bytes_text(event.usage.bytes if event.usage else None), className="num"),
        mono((event.source.ip or "") if event.source else ""),
        mono(place, where),
        _standing(item),
        short_hash(item.leaf, 8),
    ]


def _standing(item: EvidenceEvent) -> Component:
    """Whether it is what was signed, and then whether a checkpoint covers it."""
    if item.standing not in _AS_SIGNED:
        return html.Span(badge(item.standing, "critical"), title=_MEANS[item.standing])
    if item.sealed_by is None:
        return html.Span(badge("waiting", "info"), title="the next checkpoint will cover it")
    word = "sealed" if item.standing == Standing.HOLDS else str(item.standing)
    return html.Span(html.Span(word, className="quiet"), title=f"what its agent signed; covered by the checkpoint of size {item.sealed_by}")
