"""History: what the ledger holds, shard by shard, and the checkpoints over it."""

from dash import Input, Output

from tallystick_schemas.headers import Kind
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.verdicts import Verdict
from tallystick_schemas.words import counted, noun

from ..grid import table
from ..health import age_text
from ..hub import Hub
from ..parts import badge, empty, mono, page_head, seconds_time, short_hash, skeleton
from ..ports import CheckpointRow, EntryRow, HistoryView, ShardRow
from ..ui import App, Component, dmc, html

_SHOWN = 80


def layout(log: LogSettings) -> Component:
    """The page before its first push."""
    choose = dmc.SegmentedControl(
        id="history-shard",
        value="all",
        data=[{"value": "all", "label": "All shards"}] + [{"value": str(n), "label": str(n)} for n in range(log.shards)],
        size="xs",
    )
    return html.Div(
        [
            page_head("History", "The ledger's newest entries and the checkpoints that seal them", choose),
            html.Div(skeleton(8), id="history-view"),
        ],
        className="page",
    )


def register(app: App, hub: Hub) -> None:
    """Show the newest look at the store."""

    @app.callback(Output("history-view", "children"), Input("history-news", "data"), Input("history-shard", "value"), websocket=True)
    async def show(_news: int | None, shard: str) -> Component:
        view, now = hub.history, hub.clock()
        if not view.shards:
            text = "The notary writes an entry for every record. Start it, or everything at once:"
            return html.Div(empty("The ledger is empty", text, "tallystick up"), className="card")
        if shard != "all" and not any(str(one.shard) == shard for one in view.shards):
            held = ", ".join(str(one.shard) for one in view.shards)
            return html.Div(
                empty(f"Shard {shard} is empty", f"No entry was routed to it yet. Shards with entries: {held}. Choose All shards."),
                className="card",
            )
        return [
            html.Div([_shard(s, now) for s in view.shards if shard in ("all", str(s.shard))], className="tiles"),
            html.Div([_entries(view, shard), _checkpoints(view, hub.log, shard, now)], className="history-columns"),
        ]


def _shard(row: ShardRow, now: float) -> Component:
    counts = [
        html.Span([badge(Verdict(v).label, _tone(v)), html.Span(f"{n:,}", className="num")], className="count")
        for v, n in sorted(row.verdicts.items())
    ]
    if row.forked:
        counts.append(badge(f"{counted(row.forked, 'index holds', 'indexes hold')} two entries", "critical"))
    if row.missing:
        counts.append(badge(f"{counted(row.missing, 'entry', 'entries')} missing", "critical"))
    return html.Div(
        [
            html.Div([html.H3(f"Shard {row.shard}"), html.Span(f"newest {age_text(now - row.newest_ms / 1000)} ago", className="quiet")]),
            html.Div([html.B(f"{row.entries:,}"), html.Span(noun(row.entries, "entry", "entries"), className="quiet")], className="big"),
            html.Div(counts, className="counts", title="Verdicts of the newest 1,000 entries"),
        ],
        className="card tile",
    )


def _tone(verdict: int) -> str:
    return "good" if verdict == Verdict.ACCEPTED else "info" if verdict in (Verdict.OUT_OF_ORDER, Verdict.SEEN) else "critical"


def _entries(view: HistoryView, shard: str) -> Component:
    rows = [e for e in view.entries if shard in ("all", str(e.shard))]
    rows.sort(key=lambda e: (e.append_ms, e.index), reverse=True)
    heads = ["Time (UTC)", "Place", "Kind", "Verdict", "Agent", "Events", "Leaf", "Chain"]
    widths = ["136px", "76px", "80px", "180px", "auto", "68px", "108px", "108px"]
    return html.Div(
        [
            html.H2(["Newest entries ", html.Span("seals left out", className="quiet")]),
            table(heads, [_entry(e) for e in rows[:_SHOWN]], "Newest entries", widths),
        ],
        className="card",
    )


def _entry(row: EntryRow) -> list[Component]:
    kind = Kind(row.kind).name.lower() if row.kind in list(Kind) else "malformed"
    leaf = mono(row.leaf[:10], f"leaf {row.leaf}, chain {row.chain}") if row.sound else badge("wrong leaf", "critical")
    return [
        seconds_time(row.append_ms / 1000),
        mono(f"{row.shard}:{row.index}"),
        kind,
        html.Span("accepted", className="quiet")
        if row.verdict == Verdict.ACCEPTED
        else badge(Verdict(row.verdict).label, _tone(row.verdict)),
        mono(row.agent or "–"),
        html.Span(f"{row.count:,}" if row.count else "", className="num"),
        leaf,
        short_hash(row.chain, 10),
    ]


def _checkpoints(view: HistoryView, log: LogSettings, shard: str, now: float) -> Component:
    wanted = None if shard == "all" else log.origin(int(shard))
    newest = sorted(view.checkpoints, key=lambda c: (c.time, c.size), reverse=True)
    rows = [_checkpoint(c, log, now) for c in newest if wanted in (None, c.origin)]
    heads = ["Log", "Size", "Root", "Age", "Signature"]
    body = (
        table(heads, rows, "Checkpoints", ["auto", "80px", "124px", "72px", "96px"])
        if rows
        else empty("No checkpoint yet", "The sealer signs one after each round of seals.")
    )
    return html.Div([html.H2("Checkpoints"), body], className="card")


def _checkpoint(row: CheckpointRow, log: LogSettings, now: float) -> list[Component]:
    return [
        mono(row.origin.removeprefix(f"{log.deployment}/"), row.origin),
        html.Span(f"{row.size:,}", className="num"),
        short_hash(row.root),
        html.Span(age_text(now - row.time), className="num"),
        html.Span(badge("wrong", "critical") if row.problem else badge("verified", "good"), title=row.problem or "by a pinned key"),
    ]
