"""`tallystick collect FORMAT PATH…`: log files of others into the history, each line exactly once."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.progress import DownloadColumn, TimeRemainingColumn

from ..deployment import Deployment
from ..deployment.keyfiles import make_key
from ..knocking import Store, knock
from ..terminal import bar, echo, joined, styled
from .common import data_option, emit_json, json_option, open_deployment, out
from .telling import Told, tell, told

if TYPE_CHECKING:
    from tallystick_producers import Recorder
    from tallystick_producers.collectors import Report
    from tallystick_producers.errors import ProducerError

_POLL_S = 0.5


@click.command()
@data_option
@json_option
@click.argument("log_format", metavar="FORMAT", type=click.Choice(["cloudtrail", "s3", "combined", "jsonl", "csv"]))
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option("--mapping", help="For csv and jsonl: a mapping file (TOML), or the name of one that ships with us (edgar).")
@click.option("--agent", default="collector", show_default=True, help="The agent that signs; it is enrolled when it is not yet.")
@click.option("--follow", is_flag=True, help="Stay, and record what is added, until Ctrl-C.")
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait for the history to confirm.")
def collect(
    data: Path, as_json: bool, log_format: str, paths: tuple[str, ...], mapping: str | None, agent: str, follow: bool, timeout: float
) -> int:
    """Record the events of log files, directories, patterns, .gz files and .tar.gz archives.

    A second run records only what was added since. A line that is no event is counted, named and kept apart, and stops nothing.
    Exit code: 0, also with bad lines; 1 when a source could not be read at all or not to its end, or the history did not confirm in time.
    """
    from tallystick_producers import Recorder
    from tallystick_producers.collectors import Collector, RejectedFile, load_mapping
    from tallystick_producers.collectors import log_format as format_of

    if mapping is not None and log_format not in ("csv", "jsonl"):
        raise click.UsageError(f"--mapping is for csv and jsonl, {log_format} needs none")
    if mapping is None and log_format in ("csv", "jsonl"):
        raise click.UsageError(f"{log_format} needs --mapping NAME or --mapping FILE")
    reading = format_of(log_format, load_mapping(mapping) if mapping else None)
    deployment = open_deployment(data)
    spool = Path(deployment.agent(agent).spool_dir)
    with _alone(spool, agent):
        _enrol(deployment, agent, timeout)
        rejected = RejectedFile(spool)
        with Recorder.open(deployment.agent(agent)) as recorder, _bar(paths, as_json) as progress:
            collector = Collector(reading, recorder, recorder.encode, rejected, progress)
            report = collector.collect(paths)
            if follow:
                _follow(collector, paths)
            late = _unconfirmed(recorder, timeout)
    # The report comes in any case: what was read and recorded stands, whatever the history has of it.
    what = told(late) if late is not None else None
    _show(report, rejected, what, as_json)
    if late is not None and what is not None:
        tell(late, what, as_json=False)
        return what.exit
    return 1 if report.unreadable else 0


def _unconfirmed(recorder: "Recorder", timeout: float) -> "ProducerError | None":
    """Why the history has not confirmed everything, if so."""
    from tallystick_producers.errors import ReceiptTimeout, SegmentsRefused

    try:
        recorder.wait_receipts(timeout)
    except (ReceiptTimeout, SegmentsRefused) as error:
        return error
    return None


@contextmanager
def _alone(spool: Path, agent: str) -> Iterator[None]:
    """Two collectors of one agent would both read the same lines: the second one is told so. The lock ends with the process at the latest."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(spool / "collect.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            said = f"another collect of agent {agent} is running; wait for it, or give this one its own --agent"
            raise click.ClickException(said) from error
        yield
    finally:
        os.close(handle)


def _follow(collector: Any, paths: tuple[str, ...]) -> None:
    """Passes until SIGINT or SIGTERM; a pass that began is finished."""
    stop = threading.Event()
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not stop.wait(_POLL_S):
            collector.report.unreadable.clear()  # what counts is what cannot be read at the end
            collector.collect(paths)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _enrol(deployment: Deployment, agent: str, timeout: float) -> None:
    """The agent's key, made and enrolled unless the history has it."""
    import clickhouse_connect

    from tallystick_schemas.keys import key_id

    from ..admission import admit
    from ..built_in import mandate_of
    from ..enrolling import enrol_agents
    from ..enrolment import enrolled_keys
    from ..operator import check_agent
    from .agent_options import unscoped

    check_agent(agent)
    for store in get_args(Store):
        knock(deployment, store, "Nothing was read.")
    public = make_key(deployment.agent_key(agent))
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    try:
        known = (agent, key_id(public)) in enrolled_keys(client, deployment.log())
    finally:
        client.close()
    admit(deployment, [agent])
    if not known:
        enrol_agents(deployment, {agent: mandate_of(public)}, "operator", timeout)
        echo(unscoped(agent), err=True)


@contextmanager
def _bar(paths: tuple[str, ...], as_json: bool) -> Iterator[Any]:
    """A bar over the bytes on disk; it shows on a terminal alone."""
    from tallystick_producers.collectors.sources import expand

    sizes = {str(path): path.stat().st_size for path in expand(paths, ()) if path.is_file()}
    console = out(as_json)
    with bar(console, DownloadColumn(), TimeRemainingColumn(), disable=not console.is_terminal) as drawn:
        task = drawn.add_task("reading", total=sum(sizes.values()))
        done: dict[str, int] = {}

        def progress(name: str, read: int) -> None:
            done[name] = read
            drawn.update(task, completed=sum(done.values()), description=styled(Path(name).name).plain)

        yield progress


def _show(report: "Report", rejected: Any, late: Told | None, as_json: bool) -> None:
    where = str(rejected.path) if report.refused else None
    if as_json:
        skipped = [*report.unreadable, *report.skipped]
        emit_json(
            {"read": report.read, "recorded": report.recorded, "skipped": skipped, "skipped_count": report.refused, "rejected": where}
            | ({"error": late.sentence, "exit": late.exit} if late else {})
        )
        return
    from tallystick_schemas.words import counted

    console = out()
    recorded = styled(f"{report.recorded:,}", "bold")
    console.print(joined(f"{counted(report.read, 'line')} read, ", recorded, f" recorded, {report.refused:,} refused."))
    for one in report.skipped[:10]:
        console.print(f"  {one['place']}: {one['reason']}")
    if report.refused:
        console.print(f"The refused lines are kept in {where}.")
    if rejected.left_out:
        console.print(f"{rejected.left_out:,} more were not kept: the file is at its bound, or the disk refuses.")
    for one in report.unreadable:
        console.print(f"not read: {one['place']}: {one['reason']}")
