"""Findings: the list, newest first. A row opens the drawer (`evidence`) by its address."""

from dash import Input, Output

from tallystick_schemas.messages import Finding
from tallystick_schemas.words import counted, noun

from ..grid import table
from ..hub import Hub
from ..parts import badge, clock_time, empty, finding_link, mono, number, page_head, skeleton
from ..ports import Closing
from ..ui import App, Component, dmc, html
from ..whom import lock_of, subject_of, told_by_part

_PAGE = 100
_SEVERITIES = ("critical", "high", "medium", "low", "info")


def layout() -> Component:
    """The page before its first push."""
    choose = dmc.SegmentedControl(
        id="findings-severity",
        value="all",
        data=[{"value": "all", "label": "All"}] + [{"value": s, "label": s.capitalize()} for s in _SEVERITIES],
        size="xs",
    )
    return html.Div(
        [
            page_head("Findings", "What the detectors found, newest first", choose),
            html.Div(skeleton(), id="findings-list", className="card"),
        ],
        className="page",
    )


def register(app: App, hub: Hub) -> None:
    """Keep the list as the boards stand."""

    @app.callback(
        Output("findings-list", "children"),
        Input("findings-news", "data"),
        Input("locks-news", "data"),
        Input("findings-severity", "value"),
        websocket=True,
    )
    async def show(_news: int | None, _locks: int | None, severity: str) -> Component:
        found = hub.findings.newest()
        chosen = [f for f in found if severity in ("all", f.severity)]
        if not found:
            text = "Detectors compare what people and services do with what they usually do. Nothing crossed a threshold yet."
            return empty("No findings", text, "tallystick demo")
        if not chosen:
            others = f"{counted(len(found), 'finding')} of other severities: choose All to see {noun(len(found), 'it', 'them')}."
            return empty(f"No {severity} findings", others)
        now = hub.clock()
        rows = [_row(hub, f, now) for f in chosen[:_PAGE]]
        more = html.P(f"The newest {_PAGE} of {len(chosen):,} are shown.", className="quiet") if len(chosen) > _PAGE else None
        heads = ["Severity", "Finding", "Principal", "Value / threshold", "Detector", "Time (UTC)", "Lock"]
        return [table(heads, rows, "Findings", ["96px", "auto", "208px", "140px", "88px", "140px", "88px"]), more]


def _row(hub: Hub, finding: Finding, now: float) -> list[Component]:
    lock, closing = lock_of(finding, hub.locks, now), hub.findings.closing(finding.id)
    return [
        badge(finding.severity, finding.severity),
        finding_link(finding) if closing is None else [finding_link(finding), " ", _closed(closing)],
        mono((subject_of(finding) or finding.principal) if told_by_part(finding) else finding.principal),
        html.Span([html.B(number(finding.value)), html.Span(f" / {number(finding.threshold)}", className="quiet")]),
        mono(finding.detector),
        clock_time(finding.time),
        badge("locked", "critical") if lock else html.Span("none", className="quiet"),
    ]


def _closed(closing: Closing) -> Component:
    return html.Span("closed", className="badge badge-quiet", title=f"{closing.who}: {closing.disposition}. {closing.reason}")
