"""`tallystick demo`: the whole path on real parts, on a scratch directory of its own."""

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from ..demo.artifacts import MODEL, make_artifacts
from ..demo.story import Outcome, Story
from ..deployment import Deployment
from ..supervisor import Supervisor
from ..terminal import StyledText, Terminal, styled, timed
from .common import emit_json, end_on_sigterm, json_option, out
from .console_settings import sign_in
from .up import fetch_progress

FREE_PORTS = {"embedded": {"kafka_port": 0, "controller_port": 0, "clickhouse_port": 0}, "gateway": {"port": 0}, "console": {"port": 0}}


@click.command()
@json_option
@click.option("--headless", is_flag=True, help="Exit at the end; 0 only if the thief was stopped and the history verifies.")
@click.option(
    "--artifacts", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Steal from this folder instead of a made-up model."
)
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Keep everything in this directory; without it, a scratch one."
)
def demo(as_json: bool, headless: bool, artifacts: Path | None, data: Path | None) -> int:
    """A theft, start to finish: four readers, a stolen token, finding, lock, 403, and the proof."""
    headless = headless or not sys.stdout.isatty()
    end_on_sigterm()
    scratch = data or Path(tempfile.mkdtemp(prefix="tallystick-demo-"))
    try:
        return _run(scratch, artifacts, as_json=as_json, headless=headless)
    finally:
        if data is None:
            shutil.rmtree(scratch, ignore_errors=True)


def _run(scratch: Path, artifacts: Path | None, *, as_json: bool, headless: bool) -> int:
    console = out(as_json)
    began = time.monotonic()

    def say(text: str | StyledText) -> None:
        console.print(timed(text))

    deployment = Deployment.create(scratch, FREE_PORTS | ({"gateway": {"port": 0, "root": str(artifacts.absolute())}} if artifacts else {}))
    if artifacts is None:
        make_artifacts(deployment.path / "artifacts")
    model, parts = _largest_model(Path(deployment.gateway().root))
    say("Starting Kafka, ClickHouse, notary, detectors, responder, sealer, gateway and console, all of them real.")
    with fetch_progress(console) as progress:
        supervisor = Supervisor(deployment, say=lambda text: say(styled(text, "yellow")), progress=progress)
        supervisor.start()
    try:
        startup_s = round(time.monotonic() - began, 2)
        say(f"Ready after {startup_s:.1f} s.")
        outcome = Story(deployment, model, parts, say).play()
        good = outcome.stopped and outcome.proven
        say(
            styled("The thief was stopped, nobody else was, and the history proves it.", "bold green")
            if good
            else styled("This did not go as it must.", "bold red")
        )
        if as_json:
            emit_json(_summary(outcome, startup_s))
        if not headless:
            _stay(console, deployment, supervisor)
        return 0 if good else 1
    finally:
        supervisor.stop()


def _largest_model(root: Path) -> tuple[str, list[str]]:
    """The repository under models/ with the most shards, and their names."""
    best: tuple[str, list[str]] = ("", [])
    for folder in sorted(path for path in (root / "models").rglob("*") if path.is_dir()):
        parts = sorted(path.name for path in folder.glob("*.safetensors"))
        if len(parts) > len(best[1]):
            best = (folder.relative_to(root / "models").as_posix(), parts)
    if not best[1]:
        raise click.ClickException(f"{root} holds no folder models/<name> with .safetensors files")
    return best if best[0] else (MODEL, best[1])


def _summary(outcome: Outcome, startup_s: float) -> dict[str, Any]:
    report = outcome.report
    return {
        "stopped": outcome.stopped,
        "emit_to_denied_ms": outcome.emit_to_denied_ms,
        "thief_bytes": outcome.thief_bytes,
        "thief_parts": outcome.taken,
        "parts": outcome.parts,
        "events": report.events if report else 0,
        "verdicts": {
            "integrity": report.integrity.value if report else "unknown",
            "completeness": report.completeness.value if report else "unknown",
            "freshness": report.freshness.value if report else "unknown",
        },
        "startup_s": startup_s,
    }


def _stay(console: Terminal, deployment: Deployment, supervisor: Supervisor) -> None:
    """The console stays open until Ctrl-C."""
    console.print()
    console.print("The incident console, signed in by this link once:")
    console.print(styled(sign_in(deployment), "bold"), soft_wrap=True)  # one line: what the terminal wraps can be copied
    console.print("Ctrl-C ends everything.")
    stopping: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stopping.append(number))
    supervisor.run(lambda: bool(stopping))
