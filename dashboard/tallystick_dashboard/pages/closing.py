"""Closing a finding in its drawer: what it was, and why. The words become a signed event, and teach how good the detector is."""

import asyncio
from typing import Any, Final

from dash import Input, Output, State, no_update

from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.orders import MAX_REASON, MIN_REASON, REASON_RULE
from tallystick_schemas.signing import wire_time
from tallystick_schemas.vocabulary import DISPOSITIONS

from ..guard import current_session
from ..hub import Hub
from ..parts import clock_time
from ..ports import Closing
from ..ui import App, Component, dmc, html

_WORDS: Final = {name: name.replace("-", " ").capitalize() for name in DISPOSITIONS}


def form(closed: Closing | None) -> Component:
    """The lower end of the drawer: what was said, if it was closed, and the form, folded away then: closing again replaces what was said."""
    if closed is None:
        return _form()
    words = _WORDS.get(closed.disposition, closed.disposition).lower()
    said = html.P(
        ["Closed by ", html.B(closed.who), " as ", html.B(words), ": ", html.Bdi(closed.reason), ", ", clock_time(closed.at), " UTC"]
    )
    return html.Div([said, html.Details([html.Summary("Say something else"), _form()])], className="closed")


def _form() -> Component:
    choices = [{"value": name, "label": words} for name, words in _WORDS.items()]
    return html.Div(
        [
            dmc.Select(id="close-disposition", label="What it was", data=choices, placeholder="Choose", allowDeselect=False),
            dmc.TextInput(id="close-reason", label="Reason", placeholder="What you checked", required=True),
            dmc.Button("Close the finding", id="close-confirm", variant="default"),
            html.Div(id="close-told", role="status"),
        ],
        className="closing",
    )


def register(app: App, hub: Hub) -> None:
    """One button."""

    @app.callback(
        Output("close-told", "children"),
        Input("close-confirm", "n_clicks"),
        State("evidence-of", "data"),
        State("close-disposition", "value"),
        State("close-reason", "value"),
        prevent_initial_call=True,
    )
    async def confirm(clicks: int | None, finding_id: str, disposition: str | None, reason: str | None) -> Any:
        session, finding = current_session.get(), hub.findings.get(finding_id)
        if not clicks or session is None or finding is None:
            return no_update
        words = " ".join((reason or "").split())
        if disposition not in DISPOSITIONS:
            return _problem("Choose what it was.")
        if not MIN_REASON <= len(words) <= MAX_REASON:
            return _problem(REASON_RULE)
        record = hub.recorder.record_async(
            "incident.close",
            actor=Actor(principal=session.who, kind="human", session=session.id),
            resource=Resource(kind="finding", id=finding.id),
            why=Why(text=words),
            attrs={"disposition": disposition, "detector": finding.detector, "version": str(finding.version)},
        )
        try:
            event = await asyncio.wait_for(record, hub.settings.act_timeout_s)
        except TimeoutError:
            return _problem("Not durable yet. It may still be recorded: the recorder keeps trying.")
        except Exception as error:  # noqa: BLE001  # whatever the recorder raises, the analyst must see that nothing is recorded
            return _problem(f"Could not be recorded: {error}")
        hub.findings.close({finding.id: Closing(disposition, session.who, words, wire_time(hub.clock()))})
        return html.P([html.B(f"Closed as {_WORDS[disposition].lower()}. "), html.Span(f"Signed and durable: {event}", className="quiet")])


def _problem(text: str) -> Component:
    return html.Div(text, className="problem", role="alert")
