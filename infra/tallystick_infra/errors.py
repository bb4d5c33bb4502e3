"""Errors of running things. Each is one sentence: the thing, the place, the mend.

TallystickError
└── InfraError
    ├── NoDeployment, NotOurs, NotMade                  the deployment's directory: who may make one there
    ├── UnsafeKeyFile, AlreadyRunning, NotWritable      what is in it
    ├── FetchFailed, WrongSum                           Kafka's jars
    ├── PortBusy, DiskFull, TooLittleMemory             this machine
    ├── StartFailed, PartFailed                         a part of ours
    ├── MigrationChanged, TopicsDiffer, UsersRefused    the stores
    ├── NoFinding, ManyFindings                         what a person asked about
    ├── NotLocked, NothingWaits, UnseenSubject, WeakerLock  what a person ordered that means nobody
    ├── NoSuchKey, ManyMandates, NarrowerMandate        agents' keys, and what they may
    ├── NothingAnswers                                  Kafka and ClickHouse, when a command needs them
    ├── OrderWaits                                      a lock, until somebody decides
    ├── OrderUnanswered, OrderRefused, BadOrder, NothingSigned  the operator's records
    ├── BadScenario, DrillUnusable, NoSuchRun           drills
    ├── NothingAsked                                    known vulnerabilities, where nobody could be asked
    └── EvaluationRefused                               a log that cannot be evaluated
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick_schemas.errors import TallystickError
from tallystick_schemas.words import LET_IT_GO_ON, counted

if TYPE_CHECKING:
    from tallystick_schemas.messages import Lock

_NAMED = 3
"""Examples that a sentence names."""


class InfraError(TallystickError):
    """Something around the product is not as it must be."""

    exit_code = 1


class NoDeployment(InfraError):
    exit_code = 3

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no deployment in {path}; `tallystick up --data {path}` makes one, --data names yours if it is elsewhere"
        )


class NotOurs(InfraError):
    """A directory with something in it that no deployment put there, which must not be mixed with keys and stores."""

    exit_code = 3

    def __init__(self, path: Path, found: Sequence[str]) -> None:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        super().__init__(
            f"{path} is no deployment and holds {', '.join(found[:3])}{more}; nothing was made there. Name an empty or a new directory with --data"
        )


class NotMade(InfraError):
    exit_code = 3

    def __init__(self, path: Path, error: OSError) -> None:
        where = f" ({error.filename})" if error.filename and str(error.filename) != str(path) else ""
        super().__init__(f"no deployment can be made in {path}: {error.strerror or error}{where}; name another directory with --data")


class UnsafeKeyFile(InfraError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the key file {path} {reason}")


class AlreadyRunning(InfraError):
    def __init__(self, path: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{who} runs on {path} already; stop it, or choose another directory with --data")


class NotWritable(InfraError):
    exit_code = 3

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"nothing can be written in {path}: {error.strerror}; run this as the user whose deployment it is, on a disk that takes writes"
        )


class FetchFailed(InfraError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} could not be fetched: {reason}; the first start needs the network, later ones do not")


class WrongSum(InfraError):
    def __init__(self, path: Path, wanted: str, found: str) -> None:
        super().__init__(
            f"{path} has SHA-256 {found[:16]}…, not {wanted[:16]}… as the lock file says; it was not used. Delete it and start again"
        )


class PortBusy(InfraError):
    def __init__(self, port: int, part: str, setting: str) -> None:
        super().__init__(f"port {port} for {part} is taken by another program; stop that one, or set {setting} (0 takes a free port)")


class DiskFull(InfraError):
    def __init__(self, path: Path, free_mb: int, need_mb: int) -> None:
        super().__init__(
            f"{path} has {free_mb} MB left and {need_mb} MB are needed; free some space, or choose another directory with --data"
        )


class TooLittleMemory(InfraError):
    def __init__(self, free_mb: int, need_mb: int) -> None:
        super().__init__(
            f"{free_mb} MB of memory are free and {need_mb} MB are needed; close something, or use Kafka and ClickHouse elsewhere"
        )


class StartFailed(InfraError):
    def __init__(self, part: str, reason: str, log: Path) -> None:
        super().__init__(f"{part} did not start: {reason} (its log: {log})")


class PartFailed(InfraError):
    def __init__(self, part: str, what: str, log: Path) -> None:
        super().__init__(f"{part}: {what}; see {log}")


class MigrationChanged(InfraError):
    def __init__(self, name: str) -> None:
        super().__init__(f"migration {name} was applied in another form than this version carries; use the version that made this database")


class TopicsDiffer(InfraError):
    def __init__(self, differences: list[str]) -> None:
        self.differences = differences
        super().__init__("the Kafka topics are not as this deployment needs them: " + "; ".join(differences))


class UsersRefused(InfraError):
    """The embedded broker does not make the users and rules that it is told; the message says which."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the embedded Kafka did not take its users and rules: {what}; see logs/kafka.log and kafka/broker.log")


class NothingAnswers(InfraError):
    exit_code = 3

    def __init__(self, part: str, address: str, so: str = "", *, silent: bool = False, full: bool = False) -> None:
        self.address = address
        mend = "`tallystick up` starts everything"
        if silent or full:
            seen = (
                "takes connections and says nothing"
                if silent
                else "takes no connection and refuses none, as one that was stopped a while ago"
            )
            mend = f"it {seen}: {LET_IT_GO_ON}"
        super().__init__(f"{part}: nothing answers at {address}; {mend}" + (f". {so}" if so else ""))


class OrderUnanswered(InfraError):
    def __init__(self, missing: int, seconds: float) -> None:
        super().__init__(
            f"{counted(missing, 'record has', 'records have')} no receipt after {seconds:.0f} s; is the notary running? `tallystick doctor` tells"
        )


class OrderRefused(InfraError):
    def __init__(self, verdict: str) -> None:
        super().__init__(f"the notary refused the record: {verdict}; does the notary pin this operator key in [log] operator_keys?")


class BadOrder(InfraError):
    """Known before anything is made or sent: the history keeps for good what it is sent, malformed or not."""

    exit_code = 3

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(f"{what[:200]} cannot stand in the history: {rule}; nothing was made and nothing was sent")


class NothingSigned(InfraError):
    """There is nothing that the sealer could go on from."""

    exit_code = 3

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"no checkpoint of {origin} that a sealer of this deployment signed is in the store, on topic checkpoints or in sealer/notes.jsonl; "
            "nothing was adopted. A sealer that never signed needs no adoption"
        )


class BadScenario(InfraError):
    exit_code = 3

    def __init__(self, name: str, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__(f"the scenario {name} cannot be played: " + "; ".join(mistakes))


class DrillUnusable(InfraError):
    exit_code = 3

    def __init__(self, reason: str) -> None:
        super().__init__(f"this deployment cannot be drilled: {reason}")


class NoSuchRun(InfraError):
    exit_code = 3

    def __init__(self, run: str, folder: Path, known: list[str]) -> None:
        there = f"the newest there are {', '.join(known[:5])}" if known else "there is none yet; `tallystick drill run` makes one"
        super().__init__(f"there is no drill {run} in {folder}; {there}")


class NotLocked(InfraError):
    """Nothing to lift. `held`: the subjects that are locked, of which a few are named."""

    def __init__(self, subject: str, held: Sequence[str]) -> None:
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        locked = f"locked are {', '.join(held[:_NAMED])}{more}" if held else "nobody is"
        super().__init__(f"{subject} is not locked; {locked}. No order was written")


class NothingWaits(InfraError):
    def __init__(self, subject: str) -> None:
        super().__init__(f"no order about {subject} waits for a second person, so there is nothing to withdraw. No order was written")


class OrderWaits(InfraError):
    """Nothing was decided about an order in time. `silent`: the first part on its way that did not answer: broker, notary or responder."""

    def __init__(self, command: str, seconds: float, silent: str) -> None:
        if silent == "responder":
            what = f"the order {command} has its receipt, and the responder is silent: nothing was decided within {seconds:.0f} s"
        else:
            what = f"the order {command} is in the spool, and the {silent} is silent: no receipt came within {seconds:.0f} s"
        super().__init__(f"{what}. It takes effect when the {silent} is back; `tallystick doctor` tells what runs")


class UnseenSubject(InfraError):
    """A lock of a name that the history does not know. `other`: the subject of the other kind that has this name, if one was seen."""

    def __init__(self, subject: str, other: str | None) -> None:
        kind, _, name = subject.partition(":")
        if other is not None:
            what = f"{name} is a {other.partition(':')[0]}; did you mean {other}?"
        else:
            what = f"no {kind} {name} was ever seen, nor anything else of that name; a typo?"
        super().__init__(f"{what} No order was recorded; --unseen gives it for {subject} all the same")


class WeakerLock(InfraError):
    """A lock that stands is stronger than the one that was ordered, or ends later."""

    def __init__(self, standing: "Lock", level: str, until: str | None) -> None:
        ends = f"until {standing.until[:16]}Z" if standing.until else "until lifted"
        instead = f"{level} until {until[:16]}Z" if until else level
        super().__init__(
            f"{standing.subject} has a lock already: {standing.level} {ends}, by {standing.by} ({standing.reason}). This order ({instead}) would weaken it. "
            "No order was recorded; --replace puts it in that lock's place, --confirm keeps that lock"
        )


class NoSuchKey(InfraError):
    exit_code = 3

    def __init__(self, what: str, so: str = "Nothing was revoked") -> None:
        super().__init__(f"{what}. {so}")


class ManyMandates(InfraError):
    """An agent's keys may different things, and nobody said which of them the next one may."""

    exit_code = 3

    def __init__(self, agent: str, keys: Sequence[str]) -> None:
        super().__init__(
            f"the keys of {agent} ({', '.join(keys)}) have different roles or scopes; say with --role and --may-… what this one may. "
            "Nothing was enrolled"
        )


class NarrowerMandate(InfraError):
    """An enrolment that would take away what the agent may now."""

    def __init__(self, agent: str, taken: Sequence[str]) -> None:
        super().__init__(
            f"this would take away from {agent}: {', '.join(taken)}. Nothing was enrolled; --replace takes it away, and whatever no --role "
            "and no --may-… is given for stays as it is"
        )


class NoFinding(InfraError):
    exit_code = 3

    def __init__(self, finding: str) -> None:
        super().__init__(f"there is no finding {finding[:100]!r}; `tallystick findings` lists the newest; 8 digits of an id are enough")


class ManyFindings(InfraError):
    exit_code = 3

    def __init__(self, given: str, found: Sequence[str]) -> None:
        super().__init__(f"{given[:100]!r} may be any of {len(found)} findings ({', '.join(found[:3])}): give more digits")


class EvaluationRefused(InfraError):
    exit_code = 3

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be evaluated: {reason}")


class NothingAsked(InfraError):
    exit_code = 3

    def __init__(self, why: str) -> None:
        super().__init__(
            f"nothing was asked, so nothing is said about vulnerabilities: {why}. Without a network, give OSV's records as a folder or zip: "
            "make audit ADVISORIES=PATH"
        )
