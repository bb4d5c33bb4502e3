"""Live: verified events as they arrive, beside the newest findings and the locks in force. Rows are drawn by `assets/console.js`."""

from dash import Input, Output

from ..hub import Hub
from ..parts import badge, empty, finding_link, page_head
from ..ui import App, Component, dmc, html

_HEADS = (
    ("Time", "c-time"),
    ("Principal", "c-who"),
    ("Action", "c-action"),
    ("Outcome", "c-outcome"),
    ("Resource and part", "c-what"),
    ("Bytes", "c-bytes"),
    ("Address", "c-ip"),
    ("Place", "c-place"),
)
_SIDE = 6


def layout() -> Component:
    """The page before its first push."""
    side = html.Aside([html.Div(id="live-findings", className="card"), html.Div(id="live-locks", className="card")], className="side")
    return html.Div(
        [page_head("Live", "Events that the notary verified, newest first", *_tools()), html.Div([_tail(), side], className="split")],
        className="page page-live",
    )


def _tools() -> list[Component]:
    """Figures and switches beside the title."""
    return [
        html.Span([html.B("–", id="tail-rate"), " events/s"], className="figure"),
        html.Span([html.B("0", id="tail-missed"), " not shown"], className="figure", title="Events that came faster than rows are drawn"),
        html.Button(
            "Heartbeats",
            id="tail-beats",
            className="button",
            type="button",
            title="Show what agents say each few seconds",
            **{"aria-pressed": "false"},
        ),
        dmc.TextInput(id="tail-filter", placeholder="Filter rows", size="xs", w=180, **{"aria-label": "Filter rows"}),
        html.Button(
            [html.Span(className="icon icon-pause"), html.Span("Pause", id="tail-pause-text")],
            id="tail-pause",
            className="button",
            type="button",
            **{"aria-pressed": "false"},
        ),
    ]


def _tail() -> Component:
    """The rows, and what stands there when there are none: nothing came yet, or a filter hides all."""
    rows = html.Table(
        [
            html.Colgroup([html.Col(className=c) for _, c in _HEADS]),
            html.Thead(html.Tr([html.Th(h, scope="col", className=c) for h, c in _HEADS])),
            html.Tbody(id="tail-body"),
        ],
        className="grid tail",
        **{"aria-label": "Newest verified events"},
    )
    nothing_yet = empty(
        "Waiting for events",
        "Verified events appear here within a second. Start an agent or the gateway, or watch a theft happen:",
        "tallystick demo",
    )
    all_hidden = html.Div(
        [
            html.H3(id="tail-none-title"),
            html.P(id="tail-none-text"),
            html.Button(id="tail-none-way", className="button", type="button"),
        ],
        id="tail-none",
        className="empty",
        role="status",
        hidden=True,
    )
    return html.Div([rows, html.Div(nothing_yet, id="tail-empty"), all_hidden], className="scroll card", id="tail-scroll", tabIndex="0")


def register(app: App, hub: Hub) -> None:
    """The two cards at the side."""

    @app.callback(Output("live-findings", "children"), Input("findings-news", "data"), websocket=True)
    async def findings(_news: int | None) -> Component:
        newest = hub.findings.newest()[:_SIDE]
        rows = [
            html.Li([badge(f.severity, f.severity), html.Div([finding_link(f), html.Span([html.Bdi(f.principal), f", {f.time[11:19]}"])])])
            for f in newest
        ]
        body = html.Ul(rows, className="side-list") if rows else html.P("None yet. Detectors write here.", className="quiet")
        return [html.H2("Newest findings"), body]

    @app.callback(Output("live-locks", "children"), Input("locks-news", "data"), websocket=True)
    async def locks(_news: int | None) -> Component:
        rows = [
            html.Li([html.Span(className="icon icon-locks"), html.Div([html.Span(lock.subject, className="mono"), html.Span(lock.reason)])])
            for lock in hub.locks.in_force(hub.clock())[:_SIDE]
        ]
        nobody = "Nobody is locked." if hub.locks.agrees else "Who is locked is not known."
        body = html.Ul(rows, className="side-list") if rows else html.P(nobody, className="quiet")
        return [html.H2("Locks in force"), body]
