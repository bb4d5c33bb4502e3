"""`tallystick doctor`: is everything reachable, configured, in step, and how far behind?"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click
import clickhouse_connect
import psutil

from tallystick_schemas.errors import SettingsError, TallystickError
from tallystick_schemas.times import seconds_of
from tallystick_schemas.words import counted, noun

from ..built_in import BUILT_IN_AGENTS
from ..deployment import Deployment, read_run
from ..deployment.keyfiles import read_key
from ..errors import NothingAnswers
from ..kafka.topics import Topics
from ..knocking import Store, knock
from ..settings_check import mistakes
from ..terminal import styled
from .common import data_option, emit_json, json_option, open_deployment, out
from .tables import Listing

if TYPE_CHECKING:
    from tallystick_producers.gateway.folder_store import FolderStore, Repo

_STALE_S = 30.0
_HEARD_S = 5.0
"""Heartbeats of the responder come each second."""
_BEHIND_S = 10.0
_FAULTS_SHOWN = 5
_NEEDS: Final = {
    **dict.fromkeys(("behind", "roles"), ("kafka", "clickhouse")),
    "detection": ("kafka",),
    **dict.fromkeys(("sealed", "shown", "definitions"), ("clickhouse",)),
    **dict.fromkeys(("responder", "points", "outbox"), ("kafka",)),
}


@dataclass(frozen=True)
class Check:
    """One line: what, whether it is well, what was seen, and what to do when it is not."""

    name: str
    ok: bool
    seen: str
    mend: str = ""


@click.command()
@data_option
@json_option
def doctor(data: Path, as_json: bool) -> int:
    """Look at every part. Exit code 1 when something is wrong."""
    deployment = open_deployment(data)
    checks, dead = [], _dead(deployment)
    for look in (
        _settings,
        _processes,
        _kafka,
        _clickhouse,
        _definitions,
        _behind,
        _detection,
        _sealed,
        _refusal,
        _shown,
        _roles,
        _responder,
        _points,
        _outbox,
        _spools,
        _tokens,
        _repositories,
        _policy,
        _rules,
        _signals,
    ):
        checks += _guarded(look, deployment, dead)
    good = all(check.ok for check in checks)
    if as_json:
        emit_json({"ok": good, "checks": [asdict(check) for check in checks]})
        return 0 if good else 1
    table = Listing("", "part", "seen", "what to do", whole=("part",), below="what to do")
    for check in checks:
        state = styled("ok", "green") if check.ok else styled("!!", "red")
        table.add_row(state, check.name, check.seen, "" if check.ok else check.mend)
    out().print(table)
    return 0 if good else 1


def _dead(deployment: Deployment) -> dict[str, NothingAnswers]:
    """Stores where nothing answers: each look at one would take minutes to find that out by itself."""

    def trouble(store: Store) -> NothingAnswers | None:
        try:
            knock(deployment, store)
        except NothingAnswers as error:
            return error
        except (TallystickError, OSError):
            pass  # settings, or a secret's file: `_settings` and the look itself tell
        return None

    stores: tuple[Store, ...] = get_args(Store)
    with ThreadPoolExecutor(len(stores)) as pool:
        found = zip(stores, pool.map(trouble, stores), strict=True)
    return {store.lower(): error for store, error in found if error is not None}


def _guarded(look: Callable[[Deployment], list[Check]], deployment: Deployment, dead: Mapping[str, NothingAnswers]) -> list[Check]:
    """A look that fails is itself what is wrong."""
    name = look.__name__.strip("_")
    if name in dead:
        return [Check(name, False, str(dead[name]), "start it, or let it go on; `tallystick up` starts everything")]
    if missing := [store for store in _NEEDS.get(name, ()) if store in dead]:
        return [Check(name, False, f"not looked at: no answer from {' and '.join(missing)}", f"see {missing[0]}")]
    try:
        return look(deployment)
    except SettingsError:
        return [Check(name, False, "not looked at: its settings cannot be used", "see settings")]
    except (TallystickError, OSError, RuntimeError, clickhouse_connect.driver.exceptions.Error) as error:
        return [Check(name, False, f"{type(error).__name__}: {str(error)[:200]}", "is `tallystick up` running on this directory?")]
    except Exception as error:  # noqa: BLE001 - client libraries raise their own families; each is a finding of the doctor
        return [Check(name, False, f"{type(error).__name__}: {str(error)[:200]}", "is it reachable with these settings?")]


def _settings(deployment: Deployment) -> list[Check]:
    """Every section: a mistake is otherwise told by the one process that reads it, in its log."""
    found = mistakes(deployment)
    path = deployment.path / "tallystick.toml"
    return [Check("settings", False, one, f"mend {path} and start again") for one in found] or [Check("settings", True, path.name)]


def _processes(deployment: Deployment) -> list[Check]:
    run = read_run(deployment.path)
    if run is None:
        return [Check("supervisor", False, f"nothing runs on {deployment.path}", "`tallystick up` starts it")]
    dead = [name for name, pid in run.processes.items() if not psutil.pid_exists(pid)]
    memory = sum(_rss(pid) for pid in run.processes.values())
    return [
        Check("supervisor", True, f"process {run.pid} since {run.started[:19]}Z"),
        Check(
            "processes",
            not dead,
            f"{len(run.processes) - len(dead)} run, {memory >> 20} MiB" + (f"; gone: {', '.join(dead)}" if dead else ""),
            "see logs/",
        ),
    ]


def _rss(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def _kafka(deployment: Deployment) -> list[Check]:
    topics = Topics(deployment.kafka(), deployment.log().shards)
    try:
        topics.check()
    finally:
        topics.close()
    return [Check("kafka", True, f"{deployment.kafka().bootstrap}, topics as they must be")]


def _clickhouse(deployment: Deployment) -> list[Check]:
    settings = deployment.clickhouse()
    client = clickhouse_connect.get_client(**settings.client_kwargs())
    rows = client.query("SELECT count() FROM schema_versions").result_rows[0][0]
    return [
        Check(
            "clickhouse",
            rows > 0,
            f"{settings.host}:{settings.port}, version {client.server_version}, {rows} migrations",
            "`tallystick migrate`",
        )
    ]


def _definitions(deployment: Deployment) -> list[Check]:
    """Tables and views are what the migrations make. Whether their rows are, is what `audit verify` looks at."""
    from contextlib import closing

    from tallystick_audit.verify.clickhouse import open_source
    from tallystick_audit.verify.definitions import compare_definitions
    from tallystick_audit.verify.report import Findings

    from ..clickhouse.migrate import definitions

    wanted, found = definitions(), Findings()
    with closing(open_source(deployment.clickhouse())) as source:
        notes = compare_definitions(source.definitions(wanted), wanted, found)
    mend = "somebody altered the store: `tallystick audit verify` says what its rows are worth; make the table anew, or alter it back"
    told = "; ".join([f"{counted(len(wanted), 'definition')} compared with the migrations", *notes])
    return [Check("tables", False, one.reason, mend) for one in found.kept] or [Check("tables", True, told)]


def _behind(deployment: Deployment) -> list[Check]:
    """Records that Kafka holds and the ledger does not, and shards that stand still."""
    from ..ledger_lag import measure_twice

    lags, wrong = measure_twice(deployment)
    if wrong:
        return [
            Check("notary", False, one, "see logs/notary.log, and docs/operator.md, restores; the notary looks again by itself")
            for one in wrong
        ]
    behind = [lag.behind for lag in lags.values()]
    worst = max(behind, default=0)
    return [Check("notary", worst < 1000, f"{counted(sum(behind), 'record')} behind, the worst shard {worst}", "see logs/notary.log")]


def _detection(deployment: Deployment) -> list[Check]:
    """What is verified and waits for the detectors. They say once a second how far they are, so a second is nothing."""
    from tallystick_dashboard.group_lag import GroupLag

    with GroupLag(deployment.kafka()) as lag:
        waiting = lag.measure()
    age = 0.0 if waiting.since is None else max(0.0, time.time() - waiting.since)
    seen = f"{counted(waiting.records, 'verified record')} waiting" + (f", the oldest for {age:.1f} s" if waiting.records else "")
    return [Check("detectors", age < _BEHIND_S, seen, "see logs/detectors.log; what waits is found, and locked, that much later")]


def _refusal(deployment: Deployment) -> list[Check]:
    """Why the sealer of this machine signs nothing, if it does not."""
    from tallystick_stream_jobs.sealer.refusal import read_refusal

    if refusal := read_refusal(deployment.path / "sealer"):
        return [Check("sealer", False, refusal, "see docs/operator.md, restores; the sealer looks again by itself")]
    return []


def _sealed(deployment: Deployment) -> list[Check]:
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    origin = deployment.log().root_origin
    rows = client.query("SELECT max(time), max(size) FROM checkpoints WHERE origin = {o:String}", parameters={"o": origin}).result_rows
    if not rows or not rows[0][1]:
        return [Check("sealer", False, "no checkpoint yet", "see logs/sealer.log")]
    age = (datetime.now(UTC) - rows[0][0].replace(tzinfo=UTC)).total_seconds()
    limit = _STALE_S + 10 * deployment.log().seal_interval_s
    return [Check("sealer", age < limit, f"root checkpoint of size {rows[0][1]}, {age:.1f} s old", "see logs/sealer.log")]


def _shown(deployment: Deployment) -> list[Check]:
    """Root checkpoints that agents were shown lately, against those that the store has. One that is missing a moment after a restore comes back."""
    from tallystick_stream_jobs.responder.history import asking
    from tallystick_stream_jobs.responder.shown_roots import BEFORE_S, contradicts, read_roots, read_shown

    from ..enrolment import read_directives

    log = deployment.log()
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        said = read_shown(asking(client), log.shards, {}, time.time() - BEFORE_S).said
        sizes = sorted({one.seen.size for one in said})
        roots = read_roots(asking(client), log.root_origin, sizes) if sizes else set()
        keyring = read_directives(client, log).keyring
    if wrong := [one for one in said if contradicts(one.seen, roots, log, keyring)]:
        first = f"{wrong[0].agent} was shown one of {counted(wrong[0].seen.size, 'leaf', 'leaves')} (shard {wrong[0].shard}, index {wrong[0].place})"
        seen = f"the store lacks {counted(len(wrong), 'root checkpoint')} that the sealer's key signed for agents: {first}"
        mend = "`tallystick audit verify` tells whether the store was set back, or somebody else has the sealer's key"
        return [Check("shown roots", False, seen, mend)]
    return [
        Check("shown roots", True, f"{counted(len(sizes), 'root checkpoint')} shown to agents in the last hour; no signed one is missing")
    ]


def _roles(deployment: Deployment) -> list[Check]:
    """Who may say what: as the topic has it that everybody acts on, and as the ledger has it."""
    from ..control import read_roles
    from ..enrolment import enrolled_agents, read_directives
    from ..role_state import faults, summary, unscoped_agents

    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    log = deployment.log()
    topic, ledger, agents = read_roles(deployment.kafka(), log), read_directives(client, log), enrolled_agents(client)
    keys = {name: deployment.agent_key(name) for name in BUILT_IN_AGENTS}
    publics = {name: read_key(path).public_key().public_bytes_raw() if path.exists() else None for name, path in keys.items()}
    mend = "start the supervisor again; `tallystick agent list` shows every role, `agent scope` gives one"
    if wrong := faults(publics, topic, ledger, agents, log.shards):
        return [Check("roles", False, one, mend) for one in wrong]
    return [Check("roles", True, summary(topic, unscoped_agents(topic, agents)))]


def _responder(deployment: Deployment) -> list[Check]:
    """The newest signed heartbeat on `locks`, and whether the topic holds what it speaks of: gateways deny when either is not so."""
    from tallystick_producers.keyring import opener_of
    from tallystick_stream_jobs.responder.lock_topic import read_lock_topic

    read = read_lock_topic(deployment.kafka(), opener_of(deployment.log()))
    if read.heartbeat is None:
        return [Check("responder", False, "no signed heartbeat", "see logs/responder.log; gateways deny until there is one")]
    age = time.time() - seconds_of(read.heartbeat.at)
    strange = f", {counted(read.refused, 'value')} that nobody signed" if read.refused else ""
    seen = f"{counted(read.heartbeat.count, 'lock')} by its word, {len(read.topic.locked(time.time()))} in force{strange}"
    return [
        Check("responder", age < _HEARD_S, f"heartbeat {age:.1f} s ago", "see logs/responder.log; gateways deny while it is away"),
        Check("lock topic", read.agreed, seen, "the topic lost or holds back locks; the responder writes them again, see its findings R05"),
    ]


def _points(deployment: Deployment) -> list[Check]:
    """Enforcement points: each says every few seconds that it is there, and which locks it has applied."""
    from tallystick_schemas.locks import in_force
    from tallystick_stream_jobs.responder.client import read_locks
    from tallystick_stream_jobs.responder.points import read_enforcement, standing

    now = time.time()
    held = [lock for lock in read_locks(deployment.kafka(), deployment.log()) if in_force(lock, now)]
    checks = []
    for one in standing(read_enforcement(deployment.kafka(), deployment.log()), held, now):
        missing = sum(ms is None for ms in one.acked_ms.values())
        seen = f"{one.point.kind}, heard {one.age_s:.0f} s ago, {len(one.acked_ms) - missing} of {counted(len(one.acked_ms), 'lock')} acknowledged"
        checks.append(Check(f"point {one.point.name}", not one.silent and not missing, seen, "does it run? who is locked may get in there"))
    return checks


def _outbox(deployment: Deployment) -> list[Check]:
    """What other systems were to be told, and whether each lock was seen to hold."""
    from tallystick_stream_jobs.outbox.orders import read_outbox, read_proofs

    states = [one.state for one in read_outbox(deployment.kafka(), deployment.log())]
    open_doors = sorted({one.point for one in read_proofs(deployment.kafka(), deployment.log()) if one.state == "still-works"})
    told = Check(
        "outbox",
        "given-up" not in states,
        f"{counted(states.count('waiting'), 'delivery waits', 'deliveries wait')}, {states.count('given-up')} given up",
        "`tallystick outbox` says why; `outbox retry ID` once it is mended",
    )
    seen = f"a lock does not hold at {', '.join(open_doors)}" if open_doors else "no lock is known that does not hold"
    return [told, Check("proofs", not open_doors, seen, "`tallystick outbox proofs` tells which; close that door by hand")]


def _signals(deployment: Deployment) -> list[Check]:
    """Shared signals, where they are on."""
    from tallystick_stream_jobs.shared_signals.store import Store

    from ..signals import signals_settings

    settings = signals_settings(deployment)
    if not settings.enabled:
        return []
    store = Store(Path(settings.state_dir) / "signals.db")
    try:
        streams = store.streams()
        waiting = sum(store.count_waiting(one.id) for one in streams)
    finally:
        store.close()
    wrong = [one.id for one in streams if one.troubled]
    seen = f"{counted(len(streams), 'stream')}, {counted(waiting, 'token waits', 'tokens wait')}" + (
        f"; in trouble: {', '.join(wrong)}" if wrong else ""
    )
    return [Check("signals", not wrong, seen, "`tallystick signals streams` says what is wrong")]


def _spools(deployment: Deployment) -> list[Check]:
    from tallystick_producers.spool import Spool

    checks = []
    for folder in sorted((deployment.path / "spool").glob("*/spool.sqlite")):
        spool = Spool(folder.parent, durable=False)
        try:
            (waiting, aside), full = spool.usage(), spool.no_room()
        finally:
            spool.close()
        checks.append(
            Check(
                f"spool {folder.parent.name}",
                not aside and full is None,
                f"{waiting:,} bytes wait, {counted(aside, 'segment')} set aside" + (f"; {full}" if full else ""),
                "refused for good: see the agent's log" if aside else "the agent records nothing until its disk has room",
            )
        )
    return checks


def _tokens(deployment: Deployment) -> list[Check]:
    """Whether each line of the token file counts: one that does not lets nobody in, and the gateway says so in its log alone."""
    from tallystick_producers.gateway.errors import TokenFileError
    from tallystick_producers.gateway.token_file import read_tokens

    path = Path(deployment.gateway().tokens_file)
    if not path.exists():
        return [Check("tokens", True, f"no {path} yet: nobody is let in")]
    try:
        book = read_tokens(path)
    except TokenFileError as error:
        return [Check("tokens", False, str(error), "until then the gateway goes on with what it read before")]
    if book.faults:
        seen = f"{counted(len(book.faults), 'line')} of {path} {noun(len(book.faults), 'lets', 'let')} nobody in: {book.faults[0]}"
        return [Check("tokens", False, seen, "mend or delete the line; `tallystick token list` tells all of them")]
    return [Check("tokens", True, f"{len(book)} in {path.name}")]


def _repositories(deployment: Deployment) -> list[Check]:
    """Whether each repository's tallystick.json can be used: one that cannot closes it for everybody, and the gateway says why in its log alone."""
    from tallystick_producers.gateway.folder_store import FolderStore
    from tallystick_producers.gateway.routes import KINDS

    root = Path(deployment.gateway().root)
    if not root.exists():
        return [Check("repositories", True, f"no {root} here: nothing is served from this machine")]
    store = FolderStore(root)
    repos = [repo for kind in KINDS.values() for repo in store.repos(kind)]
    if not (faults := [fault for repo in repos if (fault := _meta_fault(store, repo))]):
        return [Check("repositories", True, f"{len(repos)} in {root.name}")]
    more = len(faults) - _FAULTS_SHOWN
    named = "; ".join(faults[:_FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    seen = f"{len(faults)} of {counted(len(repos), 'repository', 'repositories')} {noun(len(faults), 'is', 'are')} closed for everybody: {named}"
    return [Check("repositories", False, seen, "mend the file; the gateway reads it again within a second")]


def _meta_fault(store: "FolderStore", repo: "Repo") -> str:
    from tallystick_producers.gateway.errors import RepoMetaError

    try:
        store.meta(repo)
    except RepoMetaError as error:
        return str(error)
    return ""


def _rules(deployment: Deployment) -> list[Check]:
    """Rules of one's own: one that is left out finds nothing, and the detectors say so in their log alone."""
    from tallystick_stream_jobs.sigma.load import load_rules

    from .rules import FOLDER

    found, errors = load_rules(deployment.path / FOLDER)
    if not found and not errors:
        return []
    seen = f"{counted(len(found), 'rule')} of {FOLDER}/" + (f", {len(errors)} left out: {errors[0]}" if errors else "")
    return [Check("rules", not errors, seen, "`tallystick rules test` tells all of them; what is left out finds nothing")]


def _policy(deployment: Deployment) -> list[Check]:
    """Whether detection.yaml can be used: when not, detection goes on with the last good one and says so in its log alone."""
    from tallystick_stream_jobs.policy import Reloader

    jobs = deployment.jobs()
    known = Reloader(Path(jobs.policy_file), Path(jobs.state_dir), lambda _: None)
    seen = f"{known.path.name} {known.policy.sha256[:12]}" if known.policy.sha256 else f"no {known.path.name}: the defaults"
    if known.policy.demoted:
        seen += f"; demoted: {', '.join(sorted(known.policy.demoted))}"
    if known.mistakes:
        seen = f"not used, {counted(len(known.mistakes), 'mistake')}: {known.mistakes[0]}"
    return [Check("policy", not known.mistakes, seen, "`tallystick detect policy` tells all of them")]
