"""What response looks like from a terminal: `tallystick locks`, `findings`, and the plan of a lock."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..deployment import Deployment
from ..errors import NothingAnswers
from ..knocking import knock
from ..terminal import echo, lines, styled
from .common import data_option, emit_json, json_option, open_running, out
from .tables import Listing, amount, cut, short_time

if TYPE_CHECKING:
    from tallystick_schemas.blast_radius import Plan
    from tallystick_schemas.messages import Decision, Lock
    from tallystick_stream_jobs.responder.points import Standing
    from tallystick_stream_jobs.triage.store import Closed

_RECENT = 2_000
_LOOKED_THROUGH = 10_000
"""So many of the newest findings are looked through when only some are wanted."""
SEVERITIES = ("critical", "high", "medium", "low", "info")
_SEVERITIES = {"critical": "bold red", "high": "red", "medium": "yellow"}
_UNSEEN = "hint: nobody of that name was seen in the last 24 hours; a typo?"
LEVEL_WORDS = {"step-up": "step-up", "suspend": "suspended", "revoke": "revoked"}
_WITHDRAWN_S = 3600.0
"""So long `locks` tells that a waiting order was withdrawn; --all tells of older ones too."""
ID_SHOWN = 12
"""Hex digits of a finding's id that people see; any unambiguous prefix names it."""


def read_plan(deployment: Deployment, subject: str) -> "Plan":
    """What a lock would hit, from the store."""
    from contextlib import closing

    import clickhouse_connect

    from tallystick_schemas import blast_radius
    from tallystick_stream_jobs.responder.history import asking

    from ..enrolment import read_directives

    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        return blast_radius.read_plan(asking(client), read_directives(client, deployment.log()).keyring, subject, time.time())


def show_plan(deployment: Deployment, subject: str, *, as_json: bool) -> None:
    """The plan, for people or for programs."""
    from tallystick_schemas.blast_radius import GROUPS
    from tallystick_schemas.words import counted

    plan = read_plan(deployment, subject)
    if not plan.events:
        echo(_UNSEEN, err=True)
    if as_json:
        emit_json(plan)
        return
    seen = f", the last at {plan.last_seen[:19]}Z" if plan.last_seen else ""
    out().print(f"A lock of {subject} would hit, by its {counted(plan.events, 'event')} of the last 24 hours{seen}:")
    table = Listing("what", "how many", "for example", whole=("what",))
    for name in GROUPS:
        hit = getattr(plan, name)
        table.add_row(name, str(hit.count), lines(*map(cut, hit.examples or ("–",))))
    out().print(table)
    if plan.basis:
        out().print(styled(plan.basis, "dim"))
    out().print("This locked nobody. Order it without --plan; `tallystick locks` shows who is locked.")


@click.command()
@data_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Lifted ones as well.")
def locks(data: Path, as_json: bool, everything: bool) -> None:
    """Who is locked, why, by whom, until when; which points have said that they deny them; what waits for people, and what was withdrawn."""
    from tallystick_producers.keyring import opener_of
    from tallystick_schemas.locks import in_force
    from tallystick_schemas.notices import notices, pending, withdrawn
    from tallystick_schemas.times import seconds_of
    from tallystick_stream_jobs.responder.lock_topic import read_lock_topic
    from tallystick_stream_jobs.responder.points import read_enforcement, standing
    from tallystick_stream_jobs.responder.topics import read_decisions

    deployment = open_running(data, "Kafka")
    kafka, log, now = deployment.kafka(), deployment.log(), time.time()
    read = read_lock_topic(kafka, opener_of(log))
    known = sorted((one.lock for one in read.topic.held.values()), key=lambda lock: lock.at, reverse=True)
    held = [lock for lock in known if in_force(lock, now)]
    points = standing(read_enforcement(kafka, log), held, now)
    decisions = read_decisions(kafka, read.topic.opener, _RECENT)
    waiting, told = pending(decisions, now), notices(decisions, now)
    over = [one for one in decisions if withdrawn(one) and (everything or now - seconds_of(one.at) < _WITHDRAWN_S)]
    if as_json:
        emit_json(
            {
                "locks": [lock_facts(lock) for lock in known if everything or lock.state == "locked"],
                "points": [_point(one) for one in points],
                "pending": waiting,
                "withdrawn": over,
                "notices": told,
            }
        )
        return
    _print_locks([lock for lock in known if everything or lock.state == "locked"])
    _print_points(points)
    for one in waiting:
        out().print(f"Waits for a second person until {(one.expires or '')[11:16]} UTC: {_wish(one)}")
    for one in over:
        out().print(f"{one.subject}, at {one.at[11:16]} UTC: {one.reason} (command {one.id})")
    for sentence in told:
        out().print(sentence, style="bold red")


def _wish(decision: "Decision") -> str:
    lock = decision.proposed
    assert lock is not None
    verb = "lift the lock of" if lock.state == "unlocked" else lock.level
    return f"{verb} {lock.subject}, ordered by {lock.by}: {lock.reason} (command {decision.id})"


def _point(one: "Standing") -> dict[str, Any]:
    facts = msgspec.to_builtins(one.point)
    timed = {subject: ms for subject, ms in one.acked_ms.items() if subject not in one.at_start}
    return {**facts, "age_s": round(one.age_s, 1), "silent": one.silent, "acked_ms": timed, "applied_at_start": sorted(one.at_start)}


def lock_facts(lock: "Lock") -> dict[str, Any]:
    """A lock for programs: its level always, and that in the words that people see."""
    return {**msgspec.to_builtins(lock), "level": lock.level, "level_shown": shown_level(lock)}


def shown_level(lock: "Lock") -> str:
    """How hard a lock holds, in the console's words; lifted when it is over."""
    return LEVEL_WORDS[lock.level] if lock.state == "locked" else "lifted"


def _print_locks(found: "list[Lock]") -> None:
    table = Listing("subject", "level", "since", "until", "by", "why", whole=("subject",), below="why")
    for one in found:
        table.add_row(one.subject, shown_level(one), short_time(one.at), lock_end(one), one.by, one.reason)
    out().print(table if found else "Nobody is locked.")


def lock_end(lock: "Lock") -> str:
    """Until when a lock holds, in words; empty for one that was lifted."""
    if lock.state != "locked":
        return ""
    return short_time(lock.until) if lock.until else "for good" if lock.level == "revoke" else "no end"


def acknowledged(one: "Standing") -> str:
    """Which locks a point has acknowledged, in words."""
    missing = [subject for subject, ms in one.acked_ms.items() if ms is None]
    took = [ms for subject, ms in one.acked_ms.items() if ms is not None and subject not in one.at_start]
    said = [f"{len(one.acked_ms) - len(missing)} of {len(one.acked_ms)}"]
    if took:
        said.append(f"the slowest after {max(took):.0f} ms")
    if one.at_start:
        said.append(f"{len(one.at_start)} applied when it started")
    return ", ".join(said) + (f"; not: {', '.join(missing[:5])}" if missing else "")


def _print_points(points: "list[Standing]") -> None:
    if not points:
        out().print("No enforcement point has registered: nothing is denied anywhere. Is a gateway running?", style="bold red")
        return
    table = Listing("enforcement point", "kind", "heard", "locks acknowledged", whole=("enforcement point",))
    for one in points:
        heard = f"SILENT for {one.age_s:.0f} s" if one.silent else f"{one.age_s:.0f} s ago"
        table.add_row(one.point.name, one.point.kind, heard, acknowledged(one))
    out().print(table)


@click.command()
@data_option
@json_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--open", "open_only", is_flag=True, help="Only those that nobody has closed.")
@click.option("--severity", multiple=True, type=click.Choice(SEVERITIES), help="Only of this severity; may be given several times.")
@click.option("--detector", multiple=True, help="Only of this detector, as D03; may be given several times.")
@click.option("--about", "principal", help="Only about this principal or agent.")
def findings(
    data: Path, as_json: bool, limit: int, open_only: bool, severity: tuple[str, ...], detector: tuple[str, ...], principal: str | None
) -> None:
    """What the detectors found, newest first, and how people closed it."""
    from tallystick_stream_jobs.responder.client import read_findings

    deployment = open_running(data, "Kafka")
    narrowed = open_only or severity or detector or principal
    seen = read_findings(deployment.kafka(), deployment.log(), _LOOKED_THROUGH if narrowed else limit)
    found = [
        one for one in seen if _wanted(one.severity, severity) and _wanted(one.detector, detector) and principal in (None, one.principal)
    ]
    closed = _closed(deployment, [one.id for one in found])
    if open_only and closed is not None:  # else a word says that it is not known, and all stand there
        found = [one for one in found if one.id not in closed]
    found = found[:limit]
    if as_json:
        told = [{**msgspec.to_builtins(one), "closed": (closed or {}).get(one.id)} for one in found]
        emit_json({"findings": told, "closed_known": closed is not None})
        return
    table = Listing(
        "id", "time", "severity", "detector", "about", "value / line", "state", "what", whole=("id", "time", "detector"), below="what"
    )
    for one in found:
        how = None if closed is None else closed.get(one.id)
        state = "?" if closed is None else "closed" if how else "open"
        said = f"{one.text} Closed as {how.disposition} by {how.by}." if how else one.text
        label = styled(one.severity, "" if how else _SEVERITIES.get(one.severity, ""))
        value = f"{amount(one.value)} / {amount(one.threshold)}"
        row = (one.id[:ID_SHOWN], short_time(one.time), label, one.detector, one.principal, value, state, said)
        table.add_row(*row, style="dim" if how else None)
    out().print(
        table if found else f"Nothing of that is among the newest {_LOOKED_THROUGH:,} findings." if narrowed else "Nothing was found."
    )


def _wanted(value: str, among: tuple[str, ...]) -> bool:
    return not among or value in among


def _closed(deployment: Deployment, ids: list[str]) -> "dict[str, Closed] | None":
    """What people said about these; None when the store does not tell, and then a word on standard error."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from tallystick_stream_jobs.triage.store import read_closed

    from ..enrolment import ledger_keyring

    if not ids:
        return {}
    try:
        knock(deployment, "ClickHouse")
        store, log = deployment.clickhouse(), deployment.log()
        return read_closed(store, ledger_keyring(store, log), log.command_agents, ids)
    except (NothingAnswers, ClickHouseError) as error:
        echo(f"hint: which of them are closed is not known ({' '.join(str(error).split())[:200]})", err=True)
        return None
