"""`tallystick detect`: which detectors there are and how far each may go, why a finding came to be, and how often they were right."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..deployment import Deployment
from ..terminal import echo, lines, styled
from .common import data_option, emit_json, json_option, open_deployment, open_running, out
from .detect_backtest import backtest
from .detect_policy import policy
from .feedback import find_finding
from .groups import Group
from .tables import Listing, amount, indented

if TYPE_CHECKING:
    from tallystick_stream_jobs.detectors.base import Rule
    from tallystick_stream_jobs.policy import DetectionPolicy, Reloader
    from tallystick_stream_jobs.triage.explain import Known

_BASIS = (
    "Counted by the store's views over searchable columns, which `tallystick audit verify` judges; what takes a detector's leave to act is read from "
    "signed events."
)


@click.group(cls=Group)
def detect() -> None:
    """Detectors: list, policy, quality, and the reasoning behind a finding."""


detect.add_command(policy)
detect.add_command(backtest)


def in_force(deployment: Deployment) -> "Reloader":
    """The policy that detection uses, or would use if it started now; why a file is not used is said on standard error."""
    from tallystick_stream_jobs.policy import Reloader

    jobs = deployment.jobs()
    return Reloader(Path(jobs.policy_file), Path(jobs.state_dir), lambda said: echo(said, err=True))


def rules_in_force(deployment: Deployment, known: "DetectionPolicy") -> "list[Rule]":
    """Our detectors with the thresholds in force, and the deployment's own rules; what cannot be used is named on standard error."""
    from tallystick_stream_jobs.detectors.registry import build_rules
    from tallystick_stream_jobs.sigma.folder import FOLDER
    from tallystick_stream_jobs.sigma.load import load_rules

    own, errors = load_rules(Path(deployment.jobs().policy_file).parent / FOLDER)
    for error in errors:
        echo(f"left out: {error}", err=True)
    return [*build_rules(known.parameters), *own]


@detect.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """Every detector: how far it may go, and the thresholds in force."""
    deployment = open_deployment(data)
    known = in_force(deployment).policy
    found = [
        {
            "detector": rule.meta.id,
            "version": rule.meta.version,
            "title": rule.meta.title,
            "severity": rule.meta.severity,
            "most": rule.meta.most,
            "mode": known.mode(rule.meta.id),
            "demoted": known.demoted.get(rule.meta.id),
            "bar": msgspec.to_builtins(known.bar(rule.meta.id)),
            "techniques": list(rule.meta.techniques),
            "parameters": {
                name: {"value": one.value, "unit": one.unit, "source": one.source} for name, one in rule.meta.parameters.items()
            },
        }
        for rule in rules_in_force(deployment, known)
    ]
    if as_json:
        emit_json({"detectors": found})
        return
    table = Listing("id", "what", "mode", "at most", "thresholds", whole=("id", "mode", "at most"))
    for one in found:
        values = lines(*(f"{name} {amount(part['value'])} {part['unit']}" for name, part in one["parameters"].items()))
        mode = f"{one['mode']} (demoted)" if one["demoted"] else str(one["mode"])
        table.add_row(str(one["detector"]), str(one["title"]), mode, str(one["most"]), values)
    out().print(table)


@detect.command()
@data_option
@json_option
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650), help="How far back.")
def quality(data: Path, as_json: bool, days: int) -> None:
    """How often each detector was right, by the people who closed its findings (drills are left out)."""
    from tallystick_stream_jobs.triage.store import read_quality

    deployment = open_running(data, "ClickHouse")
    known = in_force(deployment).policy
    found = read_quality(deployment.clickhouse(), deployment.log().command_agents, days)
    if as_json:
        rows = [msgspec.to_builtins(one) | {"bar": known.bar(one.detector).precision, "mode": known.mode(one.detector)} for one in found]
        emit_json({"days": days, "detectors": rows, "basis": _BASIS})
        return
    table = Listing(
        "detector", "findings", "verdicts", "precision (95 %)", "bar", "false a user-day", "time to verdict", "mode", whole=("detector",)
    )
    for one in found:
        share = f"{one.precision:.2f} ({one.low:.2f} to {one.high:.2f})" if one.precision is not None else "nobody said"
        false = f"{one.false_alarms_a_user_day:.4f}" if one.false_alarms_a_user_day is not None else ""
        median = f"{one.median_seconds_to_verdict / 60:.0f} min" if one.median_seconds_to_verdict is not None else ""
        bar, mode = f"{known.bar(one.detector).precision:g}", known.mode(one.detector)
        table.add_row(f"{one.detector} v{one.version}", str(one.findings), str(one.verdicts), share, bar, false, median, mode)
    out().print(table if found else f"Nothing was found in the last {days} days.")
    out().print(styled(f"Findings about drills' principals are left out. {_BASIS}", "dim"))


@detect.command()
@data_option
@json_option
@click.argument("finding")
def explain(data: Path, as_json: bool, finding: str) -> None:
    """The whole reasoning behind FINDING (an id of `tallystick findings`, or its first digits: 8 or more), in words."""
    from tallystick_stream_jobs.triage.explain import explain as sections_of

    known = _known(open_running(data, "Kafka", "ClickHouse"), finding)
    sections = sections_of(known)
    if as_json:
        emit_json(_as_json(known, sections))
        return
    for section in sections:
        out().print(styled(section.title, "bold"))
        for line in section.lines:
            out().print(indented(line))


def _known(deployment: Deployment, finding: str) -> "Known":
    from tallystick_stream_jobs.triage.explain import Known
    from tallystick_stream_jobs.triage.store import read_closed, read_decisions, read_evidence

    from ..enrolment import ledger_keyring

    one, store, known = find_finding(deployment, finding), deployment.clickhouse(), in_force(deployment).policy
    keyring = ledger_keyring(store, deployment.log())
    metas = {rule.meta.id: rule.meta for rule in rules_in_force(deployment, known)}
    return Known(
        one,
        metas.get(one.detector),
        known,
        read_decisions(store, keyring, one.id),
        read_closed(store, keyring, deployment.log().command_agents, [one.id]).get(one.id),
        read_evidence(store, one.evidence),
    )


def _as_json(known: "Known", sections: list[Any]) -> dict[str, Any]:
    from tallystick_stream_jobs.triage.explain import event_text

    seen = known.evidence or {}
    return {
        "finding": msgspec.to_builtins(known.finding),
        "mode_now": known.policy.mode(known.finding.detector),
        "decisions": list(known.decisions),
        "closed": msgspec.to_builtins(known.closed) if known.closed else None,
        "evidence": [
            {"place": list(place), "standing": str(seen[place].standing), "event": event_text(seen[place].raw) if seen[place].raw else None}
            for place in known.finding.evidence
            if place in seen
        ],
        "explanation": [{"title": one.title, "lines": list(one.lines)} for one in sections],
    }
