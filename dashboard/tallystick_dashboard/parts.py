"""Small pieces that pages share: badges, ids, times, empty states, skeletons. Text goes in as text; nothing here takes HTML."""

import json
from datetime import UTC, datetime
from typing import Final

from tallystick_schemas.blast_radius import GROUPS, Hit, Plan
from tallystick_schemas.messages import Finding, Lock
from tallystick_schemas.orders import lifting
from tallystick_schemas.words import counted, noun

from .ui import Component, dcc, dmc, html

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEVELS: Final = {"step-up": ("step-up", "medium"), "suspend": ("suspended", "high"), "revoke": ("revoked", "critical")}


def badge(text: str, tone: str) -> Component:
    """A word in a colour that means something: a severity, `good`, `info`."""
    return html.Span(text, className=f"badge tone-{tone}")


def mono(text: str, title: str | None = None) -> Component:
    """An id, hash or place."""
    return html.Span(text, className="mono", **({"title": title} if title else {}))


def short_hash(text: str, digits: int = 12) -> Component:
    """The first digits, the whole in the title."""
    return mono(text[:digits], text)


def clock_time(wire: str) -> Component:
    """`23 Nov 21:11:54` of a wire time, the whole in the title. Times are UTC everywhere."""
    month = _MONTHS[int(wire[5:7]) - 1] if wire[5:7].isdigit() and 1 <= int(wire[5:7]) <= 12 else wire[5:7]
    return html.Span(f"{wire[8:10]} {month} {wire[11:19]}", className="time", title=wire)


def seconds_time(seconds: float) -> Component:
    """The same for seconds since 1970."""
    return clock_time(datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def empty(title: str, text: str, command: str | None = None) -> Component:
    """What stands where nothing is yet, and what to do next."""
    inner = [html.H3(title), html.P(text)]
    if command:
        inner.append(html.Code(command))
    return html.Div(inner, className="empty")


def skeleton(rows: int = 5) -> Component:
    """Grey rows while something loads."""
    return html.Div([dmc.Skeleton(height=14, radius=3, className="skeleton-row") for _ in range(rows)], className="skeletons")


def number(value: float) -> str:
    """A measured value without noise: 40, 0.92, 1,200."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1_000 else f"{value:,.2f}"


def bytes_text(count: int | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return ""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"


def page_head(title: str, sub: str, *right: Component) -> Component:
    """A page's first line."""
    return html.Div(
        [html.Div([html.H1(title), html.P(sub)], className="head-text"), html.Div(list(right), className="head-tools")], className="head"
    )


def finding_link(finding: Finding, text: str | None = None) -> Component:
    """Opens the finding's drawer; an address, so that it can be sent to somebody."""
    return dcc.Link(text or finding.title, href=f"/findings?finding={finding.id}", className="row-link")


def act_button(verb: str, subject: str, finding: str, label: str, prominent: bool = False) -> Component:
    """Opens the dialog that locks or unlocks."""
    return _act_button({"verb": verb, "subject": subject, "finding": finding}, label, prominent)


def lifting_button(subject: str, finding: str, lifts: str | None, label: str) -> Component:
    """Opens the dialog that lifts the lock of command `lifts`."""
    return _act_button({"verb": "resume", "subject": subject, "finding": finding, "lifts": lifts or ""}, label, prominent=False)


def _act_button(facts: dict[str, str], label: str, prominent: bool) -> Component:
    act = json.dumps(facts)
    return html.Button(label, className="button small danger" if prominent else "button small", type="button", **{"data-act": act})


def level_badge(lock: Lock) -> Component:
    """How hard a lock holds: step-up, suspended or revoked."""
    return badge(*_LEVELS[lock.level])


def no_end(lock: Lock) -> str:
    """What stands where a lock without an end would have its time."""
    return "for good" if lock.level == "revoke" else "no end"


def lift_button(lock: Lock, finding: str) -> Component:
    """Opens the dialog that lifts a lock; nothing for a revocation, whose lifting the responder refuses."""
    return html.Span() if lock.level == "revoke" else lifting_button(lock.subject, finding, lifting(lock), "Unlock")


def plan_view(plan: Plan) -> Component:
    """What a lock would hit: a number a kind, with examples in the title."""
    seen = f", last seen {plan.last_seen[11:19]} UTC" if plan.last_seen else ""
    cells = []
    for name in GROUPS:
        hit: Hit = getattr(plan, name)
        more = ", …" if hit.count > len(hit.examples) else ""
        examples = ", ".join(hit.examples) + more
        words = [html.B(f"{hit.count:,}"), html.Span(noun(hit.count, GROUPS[name], name))]
        cells.append(html.Div(words, className="plan-cell", title=examples or f"no {name}"))
    basis = [html.P(plan.basis, className="hint")] if plan.basis else []
    return [
        html.P(f"Would hit, by the last 24 hours ({counted(plan.events, 'event')}{seen}):"),
        html.Div(cells, className="plan-cells"),
        *basis,
    ]
