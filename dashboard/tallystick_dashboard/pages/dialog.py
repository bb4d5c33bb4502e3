"""The dialog that locks and unlocks: opened by any act button, confirmed with a reason, and then it shows how far the order got."""

import asyncio
from typing import Any, Final

from dash import Input, Output, State, no_update

from tallystick_schemas.errors import ParseError

from ..acts import give_order, make_order, order_attrs
from ..boards import VERBS, Order
from ..errors import BadOrder, SourceUnavailable
from ..guard import current_session
from ..hub import Hub
from ..parts import mono, plan_view
from ..shell import CLOSES
from ..ui import App, Component, dmc, html, read_text
from ..whom import told_by_part


def register(app: App, hub: Hub) -> None:
    """Open, confirm, follow; `assets/console.js` closes."""
    _open(app, hub)
    _plan(app, hub)
    _confirm(app, hub)
    _follow(app, hub)


_WORDS: Final = {
    "suspend": ("Lock", "Lock", "the lock is in force"),
    "resume": ("Lift the lock", "Unlock", "the lock is lifted"),
    "step-up": ("Ask for a fresh token", "Ask", "a fresh token is asked for"),
    "revoke": ("Revoke for good", "Revoke", "it is revoked"),
    "withdraw": ("Withdraw what waits", "Withdraw", "it waits no longer"),
}
"""Verb -> the dialog's title, the button's word, and what is so once it is applied."""


def _open(app: App, hub: Hub) -> None:
    @app.callback(
        Output("act-dialog", "opened"),
        Output("act-dialog", "title"),
        Output("act-draft", "data"),
        Output("act-subject", "children"),
        Output("act-subject", "value"),
        Output("act-reason", "value"),
        Output("act-confirm", "children"),
        Output("act-until", "style"),
        Output("act-order", "data"),
        Output("act-error", "children"),
        Input("act-click", "data"),
        prevent_initial_call=True,
    )
    async def start(click: dict[str, Any] | None) -> Any:
        if not isinstance(click, dict):
            return [no_update] * 10
        verb, subject, finding, lifts = (str(click.get(key, "")) for key in ("verb", "subject", "finding", "lifts"))
        choices = _subjects(hub, verb, subject, finding)
        title, word, _ = _WORDS.get(verb, _WORDS["resume"])
        draft = {"verb": verb, "subject": subject, "finding": finding, "lifts": lifts}
        radios = dmc.Stack([dmc.Radio(label=label, value=value) for value, label in choices], gap=8, mt=4)
        return [True, title, draft, radios, choices[0][0], "", word, {} if verb == "suspend" else {"display": "none"}, None, ""]


def _plan(app: App, hub: Hub) -> None:
    @app.callback(Output("act-plan", "children"), Input("act-subject", "value"), Input("act-draft", "data"), prevent_initial_call=True)
    async def show(subject: str | None, draft: dict[str, str] | None) -> Any:
        """What the lock would hit, before anybody approves it."""
        if not subject or not draft or draft["verb"] not in ("suspend", "step-up", "revoke"):
            return None
        try:
            return plan_view(await asyncio.to_thread(hub.sources.plan, subject, hub.clock()))
        except (SourceUnavailable, ParseError) as error:
            return html.P(f"What it would hit cannot be counted now: {error}", className="quiet")


def _confirm(app: App, hub: Hub) -> None:
    running: set[asyncio.Task[None]] = set()

    @app.callback(
        Output("act-order", "data", allow_duplicate=True),
        Output("act-error", "children", allow_duplicate=True),
        Input("act-confirm", "n_clicks"),
        State("act-draft", "data"),
        State("act-subject", "value"),
        State("act-reason", "value"),
        State("act-until", "value"),
        prevent_initial_call=True,
    )
    async def confirm(clicks: int | None, draft: dict[str, str] | None, subject: str, reason: str | None, until: str) -> Any:
        session = current_session.get()
        if not clicks or not draft or session is None or draft["verb"] not in VERBS:
            return no_update, no_update
        try:
            order = make_order(draft["verb"], subject or "", reason or "", session, hub.clock())
        except BadOrder as error:
            return no_update, read_text(str(error))
        seconds = int(until) if draft["verb"] == "suspend" and until.isdigit() else 0
        about = hub.findings.get(draft["finding"])
        until_s, whose = order.at + seconds if seconds else None, about.principal if about and not told_by_part(about) else None
        # The lock that the button was drawn for: one that took its place while the dialog was open is lifted by nobody unseen.
        attrs = order_attrs(order, until_s, draft["finding"], whose, draft.get("lifts"))
        given = give_order(order, attrs, session=session, recorder=hub.recorder, board=hub.orders, timeout_s=hub.settings.act_timeout_s)
        # Kept in a set: the loop holds tasks weakly, and an order must not vanish half given.
        task = asyncio.create_task(given)
        running.add(task)
        task.add_done_callback(running.discard)
        return order.command, ""


def _follow(app: App, hub: Hub) -> None:
    @app.callback(
        Output("act-progress", "children"),
        Output("act-form", "style"),
        Input("act-order", "data"),
        Input("locks-news", "data"),
        websocket=True,
    )
    async def follow(command: str | None, _news: int | None) -> Any:
        order = hub.orders.get(command) if command else None
        return (None, {}) if order is None else (_progress(order), {"display": "none"})


def _subjects(hub: Hub, verb: str, subject: str, finding_id: str) -> list[tuple[str, str]]:
    """Whom the order may name: (subject, label), the proposed one first."""
    found = [subject]
    finding = hub.findings.get(finding_id)
    if verb == "suspend" and finding is not None and not told_by_part(finding):
        found += [f"principal:{finding.principal}"] + ([f"credential:{finding.credential}"] if finding.credential else [])
    names = {"principal": "Principal", "credential": "Credential"}
    unique = dict.fromkeys(found)
    return [(s, f"{names.get(s.partition(':')[0], '')} {s.partition(':')[2]}".strip()) for s in unique]


def _waits(order: Order) -> str:
    return "not carried out" if order.step == "held" else "waiting for the responder"


def _progress(order: Order) -> Component:
    took = f"after {order.applied_at - order.at:.1f} s" if order.applied_at is not None else ""
    steps = [
        ("Ordered", "signed and durable in the record" if order.event else "waiting for the record", order.step in ("ordered", "applied")),
        (
            "Applied",
            f"{_WORDS[order.verb][2]} {took}" if took else _waits(order),
            order.step == "applied",
        ),
    ]
    items = [html.Li([html.B(name), html.Span(text)], className="step done" if done else "step") for name, text, done in steps]
    return [
        html.P([mono(order.subject), " by ", html.Bdi(order.by), ": ", html.Bdi(order.reason)]),
        html.Div(order.problem, className="problem", role="alert") if order.problem else None,
        html.Ol(items, className="steps"),
        html.P(mono(order.event), className="quiet") if order.event else None,
        html.Div(dmc.Button("Done", id="act-done", variant="default", **CLOSES), className="dialog-buttons"),
    ]
