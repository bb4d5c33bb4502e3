"""Locks: who is locked, why, by whom, until when, for which finding; and what was lifted."""

from dash import Input, Output

from tallystick_schemas.messages import Decision, Lock
from tallystick_schemas.notices import LIFTS

from ..grid import table
from ..hub import Hub
from ..parts import act_button, clock_time, empty, finding_link, level_badge, lift_button, lifting_button, mono, no_end, page_head, skeleton
from ..ui import App, Component, html

_HELD = ("Subject", "Level", "Reason", "By", "Since (UTC)", "Until (UTC)", "Finding", "")
_HELD_WIDTHS = ["248px", "104px", "auto", "136px", "136px", "136px", "152px", "96px"]
_OVER = ("Subject", "Reason", "Ended", "At (UTC)", "Finding")
_OVER_WIDTHS = ["248px", "auto", "208px", "136px", "200px"]


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
        now = hub.clock()
        held, lifted = hub.locks.in_force(now), hub.locks.lifted(now)
        if held:
            first: Component = table(list(_HELD), [_row(hub, lock) for lock in held], "Locks in force", _HELD_WIDTHS)
        else:
            first = _nobody(hub.locks.agrees)
        parts = [*_waiting(hub), html.Div(first, className="card")]
        if lifted:
            rows = [_over_row(hub, lock) for lock in lifted[:50]]
            parts += [
                html.H2("Lifted or over", className="apart"),
                html.Div(table(list(_OVER), rows, "Lifted or over", _OVER_WIDTHS), className="card"),
            ]
        return parts


def _nobody(agrees: bool | None) -> Component:
    """An empty list is good news only when the topic holds what the responder's heartbeat speaks of."""
    if agrees:
        return empty(
            "Nobody is locked", "Detectors lock on their own when two agree, or when there is no doubt. You can lock from a finding."
        )
    if agrees is None:
        return empty(
            "Who is locked is not known", "The responder has not said yet which locks there are. Doors deny everybody until it has."
        )
    return empty(
        "The topic of locks is not what the responder wrote",
        "Values were lost, held back, or put there by nobody, so who is locked cannot be told from it. Doors deny everybody meanwhile, and the "
        "responder writes its locks again. Look at the findings R05, and at who can write to the broker.",
    )


def _waiting(hub: Hub) -> list[Component]:
    """What people must decide: an open breaker, and orders that need a second person."""
    now = hub.clock()
    notices = [html.Div(sentence, className="notice", role="alert") for sentence in hub.decisions.notices(now)]
    waiting = hub.decisions.pending(now)
    if not waiting:
        return notices
    rows = [_waiting_row(one, lock) for one in waiting if (lock := one.proposed) is not None]
    heads = ["Subject", "Reason", "Ordered by", "At (UTC)", "Waits until (UTC)", ""]
    return [
        *notices,
        html.H2("Waiting for a second person", className="first"),
        html.Div(
            table(heads, rows, "Waiting for a second person", ["248px", "auto", "136px", "136px", "152px", "196px"]), className="card"
        ),
        html.H2("In force", className="apart"),
    ]


def _waiting_row(order: Decision, lock: Lock) -> list[Component]:
    if lock.level == "revoke":
        what, button = "revoke for good", act_button("revoke", order.subject, "", "Second it")
    elif lock.level == "step-up" and lock.state == "locked":
        what, button = "ask for a fresh token", act_button("step-up", order.subject, "", "Second it")
    elif lock.state == "unlocked":
        what, button = "lift the lock", lifting_button(order.subject, "", order.policy.get(LIFTS), "Second it")
    else:
        what, button = "lock", act_button("suspend", order.subject, "", "Second it")
    reason = f"{what}: {lock.reason}"
    return [
        mono(order.subject),
        html.Span(reason, title=reason),
        mono(lock.by),
        clock_time(order.at),
        clock_time(order.expires or ""),
        html.Span([button, act_button("withdraw", order.subject, "", "Withdraw")], className="pair"),
    ]


def _row(hub: Hub, lock: Lock) -> list[Component]:
    return [
        mono(lock.subject),
        level_badge(lock),
        html.Span(lock.reason, title=lock.reason),
        mono(lock.by),
        clock_time(lock.at),
        clock_time(lock.until) if lock.until else html.Span(no_end(lock), className="quiet"),
        _finding(hub, lock),
        lift_button(lock, lock.finding or ""),
    ]


def _over_row(hub: Hub, lock: Lock) -> list[Component]:
    by_hand = lock.state == "unlocked"
    return [
        mono(lock.subject),
        html.Span(lock.reason, title=lock.reason),
        html.Span(["lifted by ", mono(lock.by)] if by_hand else "its time was over", title=lock.by if by_hand else f"locked by {lock.by}"),
        clock_time(lock.at if by_hand else lock.until or lock.at),
        _finding(hub, lock),
    ]


def _finding(hub: Hub, lock: Lock) -> Component:
    finding = hub.findings.get(lock.finding) if lock.finding else None
    return finding_link(finding) if finding else html.Span(mono(lock.finding) if lock.finding else "none", className="quiet")
