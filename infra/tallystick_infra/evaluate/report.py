"""A result as one object for scripts: every number that the tables show."""

from statistics import median
from typing import Any, Final

from .figures import RATES, Figure, alarms, at_most, mean
from .log import Log, part_of
from .measures import VENDORS
from .responding import Told
from .run import OURS, SPANS, Result, Seen
from .splice import SPEEDS, Span
from .who import false_alarms

ALERTS_A_DAY: Final = 20


def report(log: Log, result: Result, untouched: Told, splices: int) -> dict[str, Any]:
    """The keys that are a contract (`users` … `wrongful_suspensions_per_10k_user_days`), then everything else."""
    others = [name for name in result.names if name != OURS]
    user_days = len(result.users) * result.days
    return {
        "users": len(result.users),
        "hijacked": result.hijacked,
        "recall_at": _recalls(result, OURS, "one-day"),
        "recall_at_past_midnight": _recalls(result, OURS, "whole"),
        "baselines": {name: _recalls(result, name, "one-day") for name in others},
        "wrongful_suspensions_per_10k_user_days": round(10_000 * len(untouched.suspended) / user_days, 3),
        "log": _log(log, result, splices),
        "measures": {name: _measure(result, name) for name in result.names},
        "by_speed": {span: _by_speed(result, span) for span in SPANS},
        "latency": {span: {str(rate): _latency(result, span, rate) for rate in RATES} for span in SPANS},
        "vendors_as_published": {measure.name: _published(result, measure.name, value) for measure, value in VENDORS},
        "untouched": _untouched(result, untouched, user_days),
        "false_alarms": false_alarms(log, result, RATES[0]),
    }


def _recalls(result: Result, name: str, span: Span) -> dict[str, float]:
    return {str(rate): round(result.recall(name, rate, span).value, 4) for rate in RATES}


def _log(log: Log, result: Result, splices: int) -> dict[str, Any]:
    parts = [part_of(user) for user in result.users]
    return {
        "file": log.path.name,
        "rows": log.rows,
        "refused_rows": log.refused,
        "first_refused": log.reason or None,
        "principals": len(log.people),
        "harvesters": len(log.harvesters()),
        "days": result.days,
        "frozen_on": parts.count(0),
        "reported_on": parts.count(1),
        "splices": splices,
        "reported_hijacks": len(result.reported(OURS, "whole")),
    }


def _measure(result: Result, name: str) -> dict[str, Any]:
    """Per rate: threshold, what it cost the reported users, recall of both kinds of splice; and precision at a fixed number of alerts."""
    rates = {
        str(rate): {
            "threshold": round(result.line(name, rate), 4),
            "false_alarms": _shown(result.false_alarms(name, rate)),
            **{f"recall_{span}": _shown(result.recall(name, rate, span)) for span in SPANS},
            **{f"recall_{span}_split_otherwise": _split(result, name, rate, span) for span in SPANS},
            **{f"recall_{span}_if_really_paid": _shown(result.recall_paid(name, rate, span)) for span in SPANS},
        }
        for rate in RATES
    }
    return {**rates, "precision_at_20_alerts_a_day": round(_precision(result, name), 4)}


def _split(result: Result, name: str, rate: float, span: Span) -> dict[str, float]:
    average, tenth = result.split_otherwise(name, rate, span)
    return {"mean": round(average, 4), "tenth_percentile": round(tenth, 4)}


def _precision(result: Result, name: str) -> float:
    """Of the reported users' highest scores of each draw: how many of the top 20 a day are hijacks."""
    own = {user: score for user, score in result.scores[name].untouched.items() if part_of(user) == 1}
    shares = []
    hijacks = result.reported(name, "whole")
    for seed in sorted({one.seed for one in hijacks}):
        drawn = {one.victim: one.highest for one in hijacks if one.seed == seed}
        everybody = sorted(((own | drawn)[user], user) for user in own)[::-1][: ALERTS_A_DAY * result.days]
        shares.append(sum(user in drawn for _, user in everybody) / len(everybody))
    return sum(shares) / len(shares) if shares else float("nan")


def _by_speed(result: Result, span: Span) -> dict[str, float]:
    line, seen = result.line(OURS, RATES[0]), result.reported(OURS, span)
    return {f"{speed:.2f}x": round(_share([one for one in seen if one.speed == speed], line), 4) for speed in SPEEDS}


def _share(seen: list[Seen], line: float) -> float:
    return sum(one.highest > line for one in seen) / len(seen) if seen else float("nan")


def _latency(result: Result, span: Span, rate: float) -> dict[str, Any]:
    """Of the hijacks that are found: after how many of the thief's requests, and seconds since the first. Each request loses an object."""
    line = result.line(OURS, rate)
    firsts = [
        next(((n, seconds) for n, (score, seconds) in enumerate(one.course, 1) if score > line), None)
        for one in result.reported(OURS, span)
    ]
    found = [first for first in firsts if first is not None]
    if not found:
        return {"events": None, "seconds": None}
    return {"events": median(n for n, _ in found), "seconds": round(median(seconds for _, seconds in found))}


def _published(result: Result, name: str, value: float) -> dict[str, Any]:
    """A vendor's threshold as it is published, with nothing frozen on anybody."""
    seen = result.reported(name, "whole")
    return {
        "threshold": value,
        "recall": _shown(mean([float(one.highest >= value) for one in seen])),
        "false_alarms": _shown(alarms(result.part(name, 1), value, result.days, reached=True)),
    }


def _untouched(result: Result, told: Told, user_days: int) -> dict[str, Any]:
    return {
        "user_days": user_days,
        "events": told.events,
        "suspended": len(told.suspended),
        "suspended_at_most_per_10k": round(10_000 * at_most(len(told.suspended), user_days), 1),
        "stepped_up": len(told.stepped_up),
        "state_bytes_per_principal": round(told.state_bytes, 1),
        "detectors": {
            name: _shown(mean([float(user in told.principals(name)) / result.days for user in result.users])) for name in told.detectors()
        },
    }


def _shown(figure: Figure) -> dict[str, float]:
    return {"value": round(figure.value, 4), "low": round(figure.low, 4), "high": round(figure.high, 4)}
