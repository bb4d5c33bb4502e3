"""`tallystick up`: all parts until Ctrl-C."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import DownloadColumn, TransferSpeedColumn

from tallystick_schemas.errors import SettingsError

from ..deployment import Deployment
from ..settings_check import mistakes
from ..supervisor import Supervisor
from ..terminal import Terminal, bar, joined, styled
from .addresses import Address, Addresses, away, check_answers
from .common import adopt_option, data_option, emit_json, json_option, out


@contextlib.contextmanager
def fetch_progress(console: Terminal) -> Iterator[Any]:
    """A callback for `ensure_jars` that shows a bar once there is something to fetch."""
    with bar(console, DownloadColumn(), TransferSpeedColumn()) as drawn:
        task: list[Any] = []

        def progress(done: int, total: int) -> None:
            if not task:
                task.append(drawn.add_task("fetching Kafka (first start only)", total=total))
            drawn.update(task[0], completed=done)

        yield progress


@click.command()
@data_option
@json_option
@click.option("--kafka", type=Addresses(), help="Bootstrap address of a Kafka of yours, instead of the embedded one.")
@click.option("--clickhouse", type=Address(), help="Address of a ClickHouse of yours, instead of the embedded one.")
@click.option("--artifacts", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder that the gateway serves.")
@adopt_option
def up(data: Path, as_json: bool, kafka: str | None, clickhouse: str | None, artifacts: Path | None, adopt: tuple[str, ...]) -> None:
    """Start everything; a part that dies is started again. Makes the deployment when there is none."""
    check_answers("--kafka", "Kafka", kafka)
    check_answers("--clickhouse", "ClickHouse", clickhouse)
    tables = _tables(kafka, clickhouse, artifacts)
    _check_same(data, tables)
    deployment = Deployment.create(data, tables)
    if found := mistakes(deployment) or away(deployment):
        # Before anything starts: a process that cannot use its section would end and be started again for ever.
        raise SettingsError(found)
    console = out(as_json)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stopping.append(got))
    began = time.monotonic()
    with fetch_progress(console) as progress:

        def say(text: str) -> None:
            console.print(joined(styled(time.strftime("%H:%M:%S"), "yellow"), f" {text}"))

        supervisor = Supervisor(deployment, say=say, progress=progress, adopt=adopt)
        supervisor.start()
    try:
        seconds = time.monotonic() - began
        _greet(console, deployment, seconds)
        if as_json:
            emit_json({"ready_s": round(seconds, 2), "data": str(deployment.path)})
        supervisor.run(lambda: bool(stopping))
    finally:
        console.print("stopping …")
        supervisor.stop()
    sys.exit(0)


def _check_same(data: Path, tables: dict[str, dict[str, Any]]) -> None:
    """The options go into the settings of a new deployment: one that is there and says otherwise is not changed behind its owner's back."""
    path = data / "tallystick.toml"
    if not tables or not path.exists():
        return
    have = Deployment.open(data).tables
    other = [
        f"{name} in [{section}]"
        for section, table in tables.items()
        for name, value in table.items()
        if have.get(section, {}).get(name) != value
    ]
    if other:
        raise click.UsageError(
            f"{path} is there already and says something else about {' and '.join(other)}: change it there, or leave the option out"
        )


def _tables(kafka: str | None, clickhouse: str | None, artifacts: Path | None) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    if kafka:
        tables |= {"kafka": {"bootstrap": kafka}, "embedded": {"kafka": False}}
    if clickhouse:
        host, _, port = clickhouse.rpartition(":")
        tables["clickhouse"] = {"host": host, "port": int(port)}
        tables.setdefault("embedded", {})["clickhouse"] = False
    if artifacts:
        tables["gateway"] = {"root": str(artifacts.absolute())}
    return tables


def _greet(console: Terminal, deployment: Deployment, seconds: float) -> None:
    from ..deployment import read_run
    from .console_settings import sign_in

    run = read_run(deployment.path)
    assert run is not None
    console.print(joined(styled("ready", "bold green"), f" after {seconds:.1f} s   data {deployment.path}"))
    console.print(f"  gateway  {run.gateway}   (HF_ENDPOINT for Hugging Face clients)")
    console.print(f"  console  {sign_in(deployment)}", soft_wrap=True)
    console.print("  Ctrl-C stops everything in order.")
