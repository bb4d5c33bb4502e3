"""Locks: who is locked, why, by whom, until when, for which finding; and what was lifted."""

from dash import Input, Output

from tallystick_schemas.messages import Lock
from tallystick_schemas.signing import wire_time

from ..grid import table
from ..hub import Hub
from ..parts import act_button, clock_time, empty, finding_link, mono, page_head, skeleton
from ..ui import App, Component, html

_WIDTHS = ["216px", "auto", "104px", "140px", "140px", "232px"]


def layout() -> Component:
    """The page before its first push."""
    return html.Div(
        [page_head("Locks", "Who is stopped at every gateway"), html.Div(skeleton(), id="locks-list")],
        className="page",
    )


def register(app: App, hub: Hub) -> None:
    """Keep the lists as the board stands."""

    @app.callback(Output("locks-list", "children"), Input("locks-news", "data"), websocket=True)
    async def show(_news: int | None) -> Component:
        now = wire_time(hub.clock())
        held, lifted = hub.locks.in_force(now), hub.locks.lifted(now)
        if held:
            heads = ["Subject", "Reason", "By", "Since (UTC)", "Until (UTC)", "Finding"]
            rows = [[*_row(hub, lock), act_button("resume", lock.subject, lock.finding or "", "Unlock")] for lock in held]
            first: Component = table([*heads, ""], rows, "Locks in force", [*_WIDTHS, "96px"])
        else:
            first = empty(
                "Nobody is locked", "Detectors lock on their own when two agree, or when there is no doubt. You can lock from a finding."
            )
        parts = [html.Div(first, className="card")]
        if lifted:
            rows = [_row(hub, lock) for lock in lifted[:50]]
            heads = ["Subject", "Reason", "By", "At (UTC)", "Until (UTC)", "Finding"]
            parts += [
                html.H2("Lifted or over", className="apart"),
                html.Div(table(heads, rows, "Lifted or over", _WIDTHS), className="card"),
            ]
        return parts


def _row(hub: Hub, lock: Lock) -> list[Component]:
    finding = hub.findings.get(lock.finding) if lock.finding else None
    return [
        mono(lock.subject),
        html.Span(lock.reason, title=lock.reason),
        mono(lock.by),
        clock_time(lock.at),
        clock_time(lock.until) if lock.until else html.Span("lifted by hand", className="quiet"),
        finding_link(finding) if finding else html.Span(mono(lock.finding) if lock.finding else "none", className="quiet"),
    ]
