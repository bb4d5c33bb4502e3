"""What is looked at before an order is given: whether there is anything to lift, for one. An order that means nobody is not written."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tallystick_schemas.names import canonical_subject, same_principal
from tallystick_schemas.signing import wire_time

from ..deployment import Deployment
from ..errors import NoFinding, NothingAnswers, NotLocked, UnseenSubject, WeakerLock
from ..knocking import knock
from ..terminal import confirm, echo

if TYPE_CHECKING:
    from tallystick_schemas.messages import Decision, Level, Lock
    from tallystick_schemas.settings import ClickHouseSettings, LogSettings

T = TypeVar("T")
NEWEST_FINDINGS = 10_000
NEWEST = 2_000
"""Decisions that are read, from the newest back: what waits for a second person waits for half an hour."""
LOOK_S = 2.0
"""Seconds that a lock waits for the store to say whether the name was ever seen."""


@dataclass(frozen=True)
class ToLift:
    """What there is about a subject before `unlock`: a lock in force, and orders that wait for a second person."""

    lock: "Lock | None"
    waiting: "list[Decision]"


def to_lift(deployment: Deployment, subject: str) -> ToLift:
    """What `unlock` would end; NotLocked when there is neither. It is asked once, before the order is sent: an order that is sent again under its
    command id finds its own work done and stays fine."""
    from tallystick_producers.keyring import read_opener
    from tallystick_schemas.locks import in_force
    from tallystick_schemas.notices import pending
    from tallystick_stream_jobs.responder.client import read_locks
    from tallystick_stream_jobs.responder.topics import read_decisions

    kafka, log, now = deployment.kafka(), deployment.log(), time.time()
    held = {canonical_subject(lock.subject): lock for lock in read_locks(kafka, log) if in_force(lock, now)}
    decided = read_decisions(kafka, read_opener(kafka, log), NEWEST)
    found = ToLift(held.get(subject), [one for one in pending(decided, now) if canonical_subject(one.subject) == subject])
    if found.lock is None and not found.waiting:
        raise NotLocked(subject, sorted(held))
    return found


def hint_waiting(waiting: "list[Decision]") -> None:
    """A word on standard error about what lifting a lock leaves: an order to lift is seconded by it, any other goes on waiting."""
    for one in waiting:
        if one.proposed is not None and one.proposed.state == "locked":
            said = (
                f"an order to {one.proposed.level} {one.subject} (by {one.by}, command {one.id}) waits on; `unlock --withdraw` withdraws it"
            )
            echo(f"hint: {said}", err=True)


def must_be_seen(deployment: Deployment, subject: str, *, ask: bool) -> None:
    """UnseenSubject when neither the history nor this machine's token file knows `subject`, unless `ask` and somebody confirms it on the terminal.

    A store that does not answer in time holds up no lock: a word on standard error says that it could not be checked.
    """
    kind, _, name = subject.partition(":")
    known = kinds_in_tokens(deployment, name)
    if kind in known or _is_spoken_of(deployment, subject):
        return
    try:
        known |= _within(LOOK_S, deployment, lambda store: kinds_in_history(store, name, deployment.log()))
    except _Unanswered as error:
        echo(f"hint: whether {subject} was ever seen could not be checked ({error}); the order is given all the same", err=True)
        return
    if kind in known:
        return
    refusal = UnseenSubject(subject, f"{min(known)}:{name}" if known else None)
    if not (ask and _somebody_is_there()):
        raise refusal
    confirm(f"{refusal}. Order it now?", abort=True)


def _is_spoken_of(deployment: Deployment, subject: str) -> bool:
    """Whether a lock of it holds, or an order about it waits: somebody has answered the question before."""
    from tallystick_producers.keyring import read_opener
    from tallystick_schemas.notices import pending
    from tallystick_stream_jobs.responder.topics import read_decisions

    if standing_lock(deployment, subject) is not None:
        return True
    opener = read_opener(deployment.kafka(), deployment.log())
    return any(
        canonical_subject(one.subject) == subject for one in pending(read_decisions(deployment.kafka(), opener, NEWEST), time.time())
    )


def standing_lock(deployment: Deployment, subject: str) -> "Lock | None":
    """The lock of a subject that holds now."""
    from tallystick_schemas.locks import in_force
    from tallystick_stream_jobs.responder.client import read_locks

    now = time.time()
    held = read_locks(deployment.kafka(), deployment.log())
    return next((lock for lock in held if canonical_subject(lock.subject) == subject and in_force(lock, now)), None)


def must_not_weaken(deployment: Deployment, subject: str, level: "Level", minutes: float | None) -> None:
    """WeakerLock when a lock stands that is stronger than the order, or ends later: whoever gave it counts on it."""
    from msgspec import structs

    from tallystick_schemas.locks import weaker

    standing = standing_lock(deployment, subject)
    if standing is None or standing.level == "revoke":
        return  # the responder itself refuses to touch a revocation
    until = None if minutes is None else wire_time(time.time() + 60 * minutes)
    if weaker(structs.replace(standing, level=level, until=until), standing):
        raise WeakerLock(standing, level, until)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def kinds_in_tokens(deployment: Deployment, name: str) -> set[str]:
    """As what the token file of this machine's gateway knows a name: a token may be stolen before its first use."""
    from tallystick_producers.gateway.errors import TokenFileError
    from tallystick_producers.gateway.token_file import read_tokens

    path = Path(deployment.gateway().tokens_file)
    if not path.exists():
        return set()
    try:
        records = read_tokens(path).records()
    except TokenFileError as error:
        echo(f"hint: {error}", err=True)
        return set()
    kinds = [{"principal": same_principal(one.principal, name), "credential": one.credential == name} for one in records]
    return {kind for one in kinds for kind, same in one.items() if same}


class _Unanswered(Exception):
    """The store did not say, and why."""


def _within(seconds: float, deployment: Deployment, ask: Callable[["ClickHouseSettings"], T]) -> T:
    """What the store answers; _Unanswered after `seconds`. The thread that waits for longer dies with the process."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    answers: list[T] = []
    trouble = ["no answer in time"]

    def work() -> None:
        try:
            knock(deployment, "ClickHouse")
            answers.append(ask(deployment.clickhouse()))
        except (NothingAnswers, ClickHouseError, OSError) as error:
            trouble[0] = " ".join(str(error).split())[:200]

    worker = threading.Thread(target=work, name="tallystick-look", daemon=True)
    worker.start()
    worker.join(seconds)
    if not answers:
        raise _Unanswered(trouble[0])
    return answers[0]


def known_finding(deployment: Deployment, given: str | None) -> str | None:
    """The id of the finding that `given` is the beginning of; NoFinding, ManyFindings. Kafka knows the newest, the store all.

    As with names, a store that does not answer in time holds up no lock; `given` then stands as it is.
    """
    from tallystick_stream_jobs.responder.client import read_findings
    from tallystick_stream_jobs.triage.store import read_ids

    from ..enrolment import ledger_keyring
    from .feedback import the_one

    if given is None:
        return None
    newest = {one.id for one in read_findings(deployment.kafka(), deployment.log(), NEWEST_FINDINGS)}
    try:
        return the_one(given, newest)
    except NoFinding:
        pass  # an older one, perhaps
    try:
        return the_one(given, _within(LOOK_S, deployment, lambda store: read_ids(store, ledger_keyring(store, deployment.log()), given)))
    except _Unanswered as error:
        echo(f"hint: whether there is a finding {given} could not be checked ({error}); the order names it all the same", err=True)
        return given


def kinds_in_history(settings: "ClickHouseSettings", name: str, log: "LogSettings") -> set[str]:
    """As what a signed event of any time names `name`: as a principal in any spelling of it, as a credential by its bytes."""
    from tallystick_stream_jobs.responder.known import is_known
    from tallystick_stream_jobs.responder.seen import named_in_history

    from ..enrolment import ledger_keyring

    found = named_in_history(settings, f"principal:{name}", ledger_keyring(settings, log)).found
    return {kind for kind in ("principal", "credential") if is_known(f"{kind}:{name}", found)}
