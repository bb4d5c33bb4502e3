"""Back-tests of any rule, and which way each was done: SQL where the rule is a window, else the detector itself over the rows of the history."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from tallystick_schemas.messages import Finding
from tallystick_schemas.signing import wire_time

from ..detectors.base import Noticing, Rule
from ..detectors.registry import build_rules
from ..errors import RuleRefused
from .backtest import MAX_CROSSINGS, Crossing, cost, crossings
from .builtin import BuiltinWindow, builtin_windows
from .load import load_rules, read_file
from .replay import replay_findings
from .rule import UserRule

Found = dict[str, Any]
_STORED: Final = "It reads the bytes that the store holds; `tallystick audit verify` says whether they are all that was signed."
_SAME: Final = "the rule's own windows, so it finds what the stream finds in the order of event time."
_ITSELF: Final = "the detector itself read the history's events in the order in which the broker took them, beginning without a memory."


def chosen_rule(name: str, folder: Path) -> Rule:
    """A rule file, the id of a rule of the folder, or of a detector; RuleRefused says what there is."""
    path = Path(name)
    if path.suffix in (".yml", ".yaml"):
        rules = read_file(path)
        if len(rules) != 1:
            raise RuleRefused(name, "the file", f"it has {len(rules)} rules that speak; give the id of one that is in {folder}")
        return rules[0]
    known: dict[str, Rule] = {rule.meta.id: rule for rule in build_rules()}
    own, errors = load_rules(folder)
    known |= {rule.meta.id: rule for rule in own}
    if name not in known:
        left_out = next((error for error in errors if name in str(error)), None)
        raise left_out or RuleRefused(name, "the id", f"no rule has it; there are {', '.join(sorted(known))}, and rule files by their path")
    return known[name]


def back_test(
    client: Client, rule: Rule, start: float, end: float, *, replay: bool = False, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """The report as `--json` prints it. Times in seconds since 1970, start included, end not."""
    if end <= start:
        raise RuleRefused(rule.meta.id, "--to", "it is not later than --from")
    if isinstance(rule, Noticing):
        raise RuleRefused(
            rule.meta.id, "the detector", "it listens to what the notary noticed, and the notary's words are not in the history"
        )
    windows = builtin_windows(rule)
    if isinstance(rule, UserRule) and not replay:
        found, way, means = _by_sql(client, [BuiltinWindow(rule.definition.window, rule.definition.act)], start, end), "sql", _SAME
    elif windows and not replay:
        found, way, means = _by_sql(client, windows.windows, start, end), "sql", windows.means
    else:
        findings = replay_findings(client, rule, start, end, MAX_CROSSINGS, progress)
        found, way, means = [_of_finding(one) for one in findings], "replay", _ITSELF
    found.sort(key=lambda one: (one["time"], one["place"]))
    return _report(rule, found[:MAX_CROSSINGS], start, end, way, means) | {"truncated": len(found) >= MAX_CROSSINGS}


def _report(rule: Rule, found: list[Found], start: float, end: float, way: str, means: str) -> dict[str, Any]:
    spent = cost([(one["principal"], datetime.fromisoformat(one["time"]).timestamp()) for one in found], start, end)
    return {
        "rule": rule.meta.id,
        "version": rule.meta.version,
        "title": rule.meta.title,
        "way": way,
        "means": f"{means} {_STORED}",
        "from": wire_time(start),
        "to": wire_time(end),
        "days": spent.days,
        "findings": spent.findings,
        "alerts": spent.alerts,
        "principals": spent.principals,
        "alerts_a_day": spent.alerts_a_day,
        "alerts_a_principal": spent.alerts_a_principal,
        "found": found,
    }


def _by_sql(client: Client, windows: list[BuiltinWindow], start: float, end: float) -> list[Found]:
    return [_of_crossing(one, each) for each in windows for one in crossings(client, each.window, start, end)]


def _of_crossing(one: Crossing, each: BuiltinWindow) -> Found:
    return _found(
        one.principal, wire_time(one.time), one.value, each.window.threshold, one.place, one.credential, one.evidence, each.act
    ) | {"group": dict(zip((field.name for field in each.window.group), one.group, strict=True))}


def _of_finding(one: Finding) -> Found:
    return _found(one.principal, one.time, one.value, one.threshold, one.evidence[-1], one.credential, one.evidence, one.act) | {
        "group": {}
    }


def _found(principal: str, time: str, value: float, threshold: float, place: Any, credential: str | None, evidence: Any, act: str) -> Found:
    return {
        "principal": principal,
        "time": time,
        "value": value,
        "threshold": threshold,
        "place": ":".join(map(str, place)),
        "credential": credential,
        "evidence": [list(one) for one in evidence],
        "act": act,
    }
