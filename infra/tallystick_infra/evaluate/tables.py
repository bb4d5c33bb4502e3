"""The figures as tables, for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallystick_schemas.shown import shown as shown_text

from ..terminal import Drawn, titled
from .run import OURS


@dataclass(frozen=True)
class Table:
    """A title, a sentence that says how to read it, and rows of text."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(told: dict[str, Any]) -> list[Table]:
    """Everything that `report` holds, and the other sets where they were given."""
    first = [_log(told), _recall(told), _harder(told), _ours(told), _published(told), _untouched(told), _who(told)]
    others = [_benign(told["benign"])] if told.get("benign") else []
    return [*first, *others, *(_attacks(one) for one in told.get("cloudtrail", []))]


def shown(table: Table) -> Drawn:
    """For a terminal."""
    return titled(table.title, table.note, table.head, table.rows)


def markdown(table: Table) -> str:
    """For a page."""
    lines = [f"### {table.title}", "", table.note, "", "| " + " | ".join(table.head) + " |", "|---" + "|---:" * (len(table.head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(shown_text, row)) + " |" for row in table.rows)]) + "\n"


def interval(figure: dict[str, float], digits: int = 2) -> str:
    """A figure with its 95 % interval."""
    return f"{figure['value']:.{digits}f} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"


def _log(told: dict[str, Any]) -> Table:
    log = told["log"]
    rows = [
        ("rows that are events", f"{log['rows']:,} ({log['refused_rows']:,} refused)"),
        ("principals, of them harvesters", f"{log['principals']:,}, {log['harvesters']:,}"),
        ("days", f"{log['days']}"),
        ("ordinary users: frozen on, reported on", f"{log['frozen_on']:,}, {log['reported_on']:,}"),
        ("hijacked users a draw, draws, hijacks reported", f"{told['hijacked']}, {log['splices']}, {log['reported_hijacks']:,}"),
    ]
    return Table("The log", "Who was measured.", ("", log["file"]), rows)


def _names(told: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"**{name}**, ours" if name == OURS else name, one) for name, one in told["measures"].items()]


def _recall(told: dict[str, Any]) -> Table:
    rows = []
    for name, one in _names(told):
        cells = [name]
        for rate in ("0.01", "0.05"):
            cells += [interval(one[rate]["recall_one-day"]), interval(one[rate]["false_alarms"], 3)]
        rows.append([*cells, f"{one['precision_at_20_alerts_a_day']:.2f}"])
    note = (
        "Thresholds frozen on the first part at 0.01 and 0.05 false alarms a user and day. Recall, and the false alarms that were really paid, on the second "
        "part, with 95 % intervals by principal that know the threshold's own error. All 400 requests lie within the log."
    )
    head = ("measure", "recall at 0.01", "really paid", "recall at 0.05", "really paid", "precision at 20 alerts a day")
    return Table("Hijacked accounts", note, head, rows)


def _harder(told: dict[str, Any]) -> Table:
    rows = []
    for name, one in _names(told):
        strict = one["0.01"]
        cells = [interval(strict["recall_whole"]), interval(one["0.05"]["recall_whole"])]
        cells += [interval(strict[f"recall_{span}_if_really_paid"]) for span in ("one-day", "whole")]
        rows.append([name, *cells, *(_otherwise(strict[f"recall_{span}_split_otherwise"]) for span in ("one-day", "whole"))])
    note = (
        "Past midnight: the slowest thieves need more than a day, and go on after the log's end. If really paid: with the threshold that the reported users "
        "themselves allow, which nobody can know beforehand. Split otherwise: mean over 40 other halves to freeze on, and what nine in ten of them reach."
    )
    head = (
        "measure",
        "past midnight at 0.01",
        "past midnight at 0.05",
        "if 0.01 really paid",
        "the same past midnight",
        "split otherwise, 0.01",
        "the same past midnight",
    )
    return Table("The same, harder", note, head, rows)


def _otherwise(one: dict[str, float]) -> str:
    return f"{one['mean']:.2f} ({one['tenth_percentile']:.2f})"


def _ours(told: dict[str, Any]) -> Table:
    rows = []
    for span, speeds in told["by_speed"].items():
        soon = [told["latency"][span][rate] for rate in ("0.01", "0.05")]
        name = "past midnight" if span == "whole" else "within the day"
        rows.append(
            [name, *(f"{share:.2f}" for share in speeds.values()), *(f"{one[key]}" for one in soon for key in ("events", "seconds"))]
        )
    speeds = list(told["by_speed"]["whole"])
    note = "Recall at 0.01. A request of the thief before the alarm is an object lost: medians over the hijacks that were found."
    head = ("splice", *speeds, "objects lost at 0.01", "seconds", "objects lost at 0.05", "seconds")
    return Table(f"{OURS} by the thief's speed", note, head, rows)


def _published(told: dict[str, Any]) -> Table:
    rows = [(name, interval(one["recall"]), interval(one["false_alarms"], 3)) for name, one in told["vendors_as_published"].items()]
    return Table(
        "Vendors' thresholds as published", "Nothing frozen on anybody.", ("threshold", "recall", "false alarms a user and day"), rows
    )


def _untouched(told: dict[str, Any]) -> Table:
    untouched = told["untouched"]
    rows = [(name, interval(figure, 3)) for name, figure in untouched["detectors"].items()]
    rows += [
        ("stepped up by the responder", f"{untouched['stepped_up']} of {untouched['user_days']:,}"),
        ("suspended by the responder", f"{untouched['suspended']} of {untouched['user_days']:,}"),
        (
            "suspended in 10,000 user-days",
            f"{told['wrongful_suspensions_per_10k_user_days']} (at most {untouched['suspended_at_most_per_10k']})",
        ),
        ("state, bytes a principal", f"{untouched['state_bytes_per_principal']:.0f}"),
    ]
    note = "Every detector with its shipped thresholds, and the whole ladder with its guards, over all ordinary users as the log has them."
    return Table("Nobody was hijacked here", note, ("detector", "false alarms a user and day"), rows)


def _who(told: dict[str, Any]) -> Table:
    rows = [
        (
            f"{one['score']:.0f}",
            f"{one['requests']}",
            f"{one['objects']}",
            f"{one['active_spans']}",
            f"{one['shared']:.2f}",
            "yes" if one["throttled"] else "no",
            "yes" if one["crawler"] else "no",
        )
        for one in told["false_alarms"]
    ]
    note = (
        f"Reported users above {OURS}'s line at 0.01, as the log has them: requests, distinct objects, ten-minute spans with a request, share of the objects "
        "that four or more clients asked for, throttled (403 or 429), declared as a crawler."
    )
    return Table("Who the false alarms are", note, ("score", "requests", "objects", "active spans", "shared", "throttled", "crawler"), rows)


def _benign(sets: list[dict[str, Any]]) -> Table:
    rows = []
    for one in sets:
        alarms = ", ".join(f"{name} {count / one['principal_days']:.4f}" for name, count in one["alarmed"].items()) or "none"
        rows.append(
            (one["file"], f"{one['events']:,}", f"{one['principals']:,}", f"{one['principal_days']:,}", alarms, f"{one['suspended']}")
        )
    note = "False alarms a principal and day with the shipped thresholds. The inference traces name nobody: each is one service account."
    return Table(
        "Sets in which nothing happened", note, ("set", "events", "principals", "principal-days", "false alarms", "suspended"), rows
    )


def _attacks(one: dict[str, Any]) -> Table:
    rows = []
    for name, technique in one["techniques"].items():
        found = ", ".join(f"{detector} after {min(after)}" for detector, after in technique["found"].items()) or "no"
        rows.append((name, f"{technique['detonations']}", f"{technique['events']}", f"{technique['seen']}", found))
    others = one["others"]
    spoke = ", ".join(f"{name} {count}" for name, count in others["alarmed"].items()) or "none"
    note = (
        f"{one['found']} of {one['detonations']} detonations found. {others['principals']} principals did ordinary work in {others['events']:,} events; "
        f"of them wrongly told of: {spoke}."
    )
    return Table(
        f"CloudTrail: {one['file']}", note, ("technique", "detonations", "events", "found", "by, after so many of its events"), rows
    )
