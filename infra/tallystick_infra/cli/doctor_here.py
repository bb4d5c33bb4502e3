"""What `tallystick doctor` sees on this machine: settings, processes, spools, and the files that decide."""

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tallystick_schemas.words import counted, noun

from ..deployment import Deployment, read_run
from ..settings_check import mistakes
from .doctor_check import Check

if TYPE_CHECKING:
    from tallystick_producers.gateway.folder_store import FolderStore, Repo

_FAULTS_SHOWN = 5


def settings(deployment: Deployment) -> list[Check]:
    """Every section: a mistake is otherwise told by the one process that reads it, in its log."""
    found = mistakes(deployment)
    path = deployment.path / "tallystick.toml"
    return [Check("settings", False, one, f"mend {path} and start again") for one in found] or [Check("settings", True, path.name)]


def processes(deployment: Deployment) -> list[Check]:
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


def spools(deployment: Deployment) -> list[Check]:
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


def tokens(deployment: Deployment) -> list[Check]:
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


def repositories(deployment: Deployment) -> list[Check]:
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


def policy(deployment: Deployment) -> list[Check]:
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


def rules(deployment: Deployment) -> list[Check]:
    """Rules of one's own: one that is left out finds nothing, and the detectors say so in their log alone."""
    from tallystick_stream_jobs.sigma.load import load_rules

    from .rules import FOLDER

    found, errors = load_rules(deployment.path / FOLDER)
    if not found and not errors:
        return []
    seen = f"{counted(len(found), 'rule')} of {FOLDER}/" + (f", {len(errors)} left out: {errors[0]}" if errors else "")
    return [Check("rules", not errors, seen, "`tallystick rules test` tells all of them; what is left out finds nothing")]


def signals(deployment: Deployment) -> list[Check]:
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
