"""Response from a terminal: `tallystick lock / unlock / revoke`. Orders are signed events; the responder carries them out.

Exit codes: 0 done; 1 no order was written, or nothing was decided in time; 4 it waits for a second person; 5 the responder refused it.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ..deployment import Deployment
from ..errors import NothingWaits, OrderWaits
from ..terminal import echo
from .common import data_option, emit_json, json_option, open_running, out
from .reasons import by_option, checked_reason

if TYPE_CHECKING:
    from tallystick_producers import Recorder
    from tallystick_schemas.messages import Decision
    from tallystick_stream_jobs.responder.client import Ordering

_AGENT = "cli"
WAITS, REFUSED = 4, 5
_RECEIPT_S = 1.0


MAX_MINUTES = 366 * 24 * 60
"""A longer lock is better without an end: somebody lifts it."""


def _subject(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    """`principal:…` or `credential:…`; a bare name is a principal's. Names in the canonical form (ADR 0026), whatever was typed."""
    from tallystick_schemas.names import canonical_subject
    from tallystick_stream_jobs.responder.names import flaw_of

    kind, _, name = text.partition(":")
    if kind not in ("principal", "credential"):
        kind, name = "principal", text
    if flaw := flaw_of(name):
        raise click.BadParameter(f"{flaw}; give a principal's name, or credential:ID")
    return canonical_subject(f"{kind}:{name}")


def _minutes(_ctx: click.Context, _param: click.Parameter, given: float | None) -> float | None:
    if given is not None and not 0 < given <= MAX_MINUTES:  # not a number is in no range
        raise click.BadParameter(
            f"{given:.15g} is not above 0 and at most {MAX_MINUTES:,} (366 days); without --minutes, a lock holds until lifted"
        )
    return given


def _open(data: Path) -> Deployment:
    """Kafka must answer: an order that waits in the spool would be carried out when nobody expects it."""
    return open_running(data, "Kafka", so="No order was recorded.")


def _ordering(command: Callable[..., None]) -> Callable[..., None]:
    """The options that every order has."""
    for option in (
        click.option("--timeout", default=20.0, show_default=True, help="Seconds to wait until it is decided."),
        by_option("Who orders it"),
        click.argument("subject", callback=_subject),
        json_option,
        data_option,
    ):
        command = option(command)
    return command


@click.command()
@_ordering
@click.option("--reason", callback=checked_reason, help="Why; the locked person and the auditor will read it.")
@click.option("--minutes", type=float, callback=_minutes, help="How long; without it, until somebody lifts it.")
@click.option("--finding", help="Id of the finding that led to it, or its first digits: 8 or more.")
@click.option("--step-up", is_flag=True, help="Ask for a token issued after the lock instead of denying.")
@click.option("--confirm", is_flag=True, help="Keep the lock that stands: it no longer ends by itself (or ends after --minutes).")
@click.option("--unseen", is_flag=True, help="Lock a name that the history has never seen.")
@click.option("--replace", is_flag=True, help="Put this order in the place of a lock that is stronger or ends later.")
@click.option("--plan", is_flag=True, help="Only show what the lock would hit, by the last 24 hours.")
def lock(data: Path, as_json: bool, subject: str, by: str, timeout: float, plan: bool, **order: Any) -> None:
    """Suspend SUBJECT: a principal's name, or credential:ID. --plan shows first whom that would hit."""
    from tallystick_stream_jobs.responder.client import suspend

    from .respond_look import known_finding, must_be_seen, must_not_weaken

    if plan:
        from .respond_show import show_plan

        show_plan(open_running(data, "ClickHouse"), subject, as_json=as_json)
        return
    if order["reason"] is None:
        raise click.UsageError("Missing option '--reason'.")
    level: Literal["step-up", "suspend"] = "step-up" if order["step_up"] else "suspend"
    deployment = _open(data)
    if not order["confirm"]:
        if not order["unseen"]:
            must_be_seen(deployment, subject, ask=not as_json)
        if not order["replace"]:
            must_not_weaken(deployment, subject, level, order["minutes"])
    given = _Given(deployment, subject, order["reason"], by, timeout, known_finding(deployment, order["finding"]))
    replaces = _standing_command(deployment, subject) if order["replace"] else None
    given.carry_out(lambda one: suspend(one, order["minutes"], level=level, confirm=order["confirm"], replaces=replaces), as_json=as_json)


def _standing_command(deployment: Deployment, subject: str) -> str | None:
    """The command of the lock that `--replace` is about, as it stands now."""
    from .respond_look import standing_lock

    standing = standing_lock(deployment, subject)
    return standing.command if standing else None


@click.command()
@_ordering
@click.option("--reason", callback=checked_reason, required=True, help="Why; it stands in the history.")
@click.option("--withdraw", is_flag=True, help="Leave the lock, and withdraw the orders that wait for a second person.")
def unlock(data: Path, as_json: bool, subject: str, by: str, timeout: float, reason: str, withdraw: bool) -> None:
    """Lift the lock of SUBJECT: a principal's name, or credential:ID. Where none is in force, orders that wait for a second person are withdrawn."""
    from tallystick_stream_jobs.responder import client

    from .respond_look import hint_waiting, to_lift

    deployment = _open(data)
    found = to_lift(deployment, subject)
    if withdraw and not found.waiting:
        raise NothingWaits(subject)
    given, standing = _Given(deployment, subject, reason, by, timeout), found.lock
    if withdraw or standing is None:
        given.carry_out(client.withdraw, as_json=as_json)
        return
    hint_waiting(found.waiting)
    given.carry_out(lambda one: client.resume(one, standing), as_json=as_json)


@click.command()
@_ordering
@click.option("--reason", callback=checked_reason, required=True, help="Why; the locked person and the auditor will read it.")
@click.option("--finding", help="Id of the finding that led to it, or its first digits: 8 or more.")
@click.option("--unseen", is_flag=True, help="Revoke a name that the history has never seen.")
def revoke(data: Path, as_json: bool, subject: str, by: str, timeout: float, reason: str, finding: str | None, unseen: bool) -> None:
    """Lock SUBJECT for good. Two people order it within half an hour; nobody lifts it: the way back is a new credential."""
    from tallystick_stream_jobs.responder.client import revoke as order_revoke

    from .respond_look import known_finding, must_be_seen

    deployment = _open(data)
    if not unseen:
        must_be_seen(deployment, subject, ask=not as_json)
    _Given(deployment, subject, reason, by, timeout, known_finding(deployment, finding)).carry_out(order_revoke, as_json=as_json)


@dataclass(frozen=True)
class _Given:
    """An order from the command line."""

    deployment: Deployment
    subject: str
    reason: str
    by: str
    timeout: float
    finding: str | None = None

    def carry_out(self, give: Callable[["Ordering"], str], *, as_json: bool) -> None:
        """Give it, wait for what the responder makes of it, show that, and exit with its meaning."""
        from tallystick_producers import Recorder
        from tallystick_schemas.notices import withdrawn
        from tallystick_stream_jobs.errors import LockUnconfirmed
        from tallystick_stream_jobs.responder.client import Ordering, wait_decided
        from tallystick_stream_jobs.responder.known import KNOWN

        with Recorder.open(self.deployment.agent(_AGENT)) as recorder:
            order = Ordering(recorder, self.subject, self.reason, self.by, self._owner(), self.finding)
            command = give(order)
            try:
                decision = wait_decided(self.deployment.kafka(), self.deployment.log(), command, self.timeout)
            except LockUnconfirmed as error:
                raise OrderWaits(command, self.timeout, _silent(recorder)) from error
        emit_json(_told(decision)) if as_json else out().print(_sentence(decision))
        if not as_json and not (known := decision.policy.get(KNOWN, "seen")).startswith("seen"):
            echo(f"hint: {known}", err=True)
        if decision.lock is None and not withdrawn(decision):
            sys.exit(WAITS if decision.proposed is not None else REFUSED)

    def _owner(self) -> str | None:
        """Whose credential it is, where this machine's token file says so: protection goes by the person."""
        from tallystick_producers.gateway.token_file import read_tokens

        path = Path(self.deployment.gateway().tokens_file)
        if not self.subject.startswith("credential:") or not path.exists():
            return None
        wanted = self.subject.partition(":")[2]
        return next((record.principal for record in read_tokens(path).records() if record.credential == wanted), None)


def _silent(recorder: "Recorder") -> str:
    """Which part an order waits for: one with a receipt for the responder, one that was sent for the notary. SegmentsRefused: it waits for nobody."""
    stats = recorder.stats()
    if stats.waiting:
        return "notary" if stats.sent else "broker"
    recorder.wait_receipts(_RECEIPT_S)
    return "responder"


def _told(decision: "Decision") -> object:
    """The lock's own fields, as ever, and the decision around it."""
    import msgspec

    from .respond_show import lock_facts

    lock = lock_facts(decision.lock) if decision.lock is not None else {}
    return {**lock, "decision": msgspec.to_builtins(decision)}


def _sentence(decision: "Decision") -> str:
    made = decision.lock
    if made is None:
        return f"{decision.subject}: {decision.reason} (command {decision.id})"
    if made.state == "unlocked":
        return f"{made.subject} may go on: {made.reason} (command {made.command})"
    words = {"step-up": "must show a fresh token", "suspend": "is locked", "revoke": "is revoked for good"}
    until = f" until {made.until[:16]}Z" if made.until else "" if made.level == "revoke" else " until lifted"
    return f"{made.subject} {words[made.level]}{until}: {made.reason} (by {made.by}, command {made.command}, {time.strftime('%H:%M:%S')})"
