"""`tallystick detect policy`: what is in force, and changing it: each change is checked, written whole, and an event in the history."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ..deployment import Deployment
from ..knocking import knock
from ..terminal import confirm, echo, joined, styled
from .common import data_option, emit_json, json_option, open_deployment, out
from .groups import Group
from .reasons import by_option

_AGENT = "cli"

who_changes = by_option("Who changes it")
reason_option = click.option("--reason", required=True, help="Why; it stands in the history.")


@click.group(cls=Group, invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def policy(ctx: click.Context, data: Path, as_json: bool) -> int:
    """The policy in force. Without a subcommand: shows it; exit code 1 when detection.yaml cannot be used."""
    return 0 if ctx.invoked_subcommand else _show(open_deployment(data), as_json)


def _show(deployment: Deployment, as_json: bool) -> int:
    from tallystick_stream_jobs.policy import Reloader

    from .policy_view import show_policy

    jobs = deployment.jobs()
    known = Reloader(Path(jobs.policy_file), Path(jobs.state_dir), lambda _: None)
    if as_json:
        emit_json(
            {
                "file": str(known.path),
                "usable": not known.mistakes,
                "mistakes": list(known.mistakes),
                "instead": known.instead,
                "policy": _builtins(known.policy),
            }
        )
        return 1 if known.mistakes else 0
    what = f"sha256 {known.policy.sha256[:16]}…" if known.policy.sha256 else "no file: the defaults"
    what = f"not used; detectors that run keep the policy they have, and a start would take {known.instead}" if known.instead else what
    out().print(joined(styled(known.path, "bold"), f" ({what})"))
    for mistake in known.mistakes:
        out().print(joined(styled("not used:", "red"), f" {mistake}"))
    show_policy(out(), known.policy)
    return 1 if known.mistakes else 0


def _builtins(known: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(known, order="sorted"))


@policy.command()
@data_option
@json_option
@who_changes
@reason_option
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def set(data: Path, as_json: bool, by: str, reason: str, file: Path) -> None:
    """Put FILE (`-`: standard input) in force as detection.yaml; a running detection picks it up within seconds."""
    from tallystick_stream_jobs.policy.load import read_text, text_of
    from tallystick_stream_jobs.policy.yaml_text import MAX_BYTES

    text = text_of("standard input", sys.stdin.buffer.read(MAX_BYTES + 1)) if str(file) == "-" else read_text(file)
    if text is None:
        raise click.UsageError(f"there is no file {file}")
    _put(open_deployment(data), text, by, reason, as_json)


@policy.command()
@data_option
@who_changes
@reason_option
def edit(data: Path, by: str, reason: str) -> None:
    """Edit detection.yaml with $EDITOR; it is put in force when nothing is wrong with it."""
    from tallystick_schemas.errors import SettingsError
    from tallystick_stream_jobs.policy.load import named, read_text

    deployment = open_deployment(data)
    path = Path(deployment.jobs().policy_file)
    text = read_text(path) or _TEMPLATE
    while True:
        changed = click.edit(text, extension=".yaml")
        if changed is None:
            raise click.Abort
        try:
            named(path.name, changed)
            break
        except SettingsError as error:
            for mistake in error.mistakes:
                echo(f"  - {mistake}", err=True)
            if not sys.stdin.isatty() or not confirm("Edit again?", default=True):
                raise
            text = changed
    _put(deployment, changed, by, reason, as_json=False)


def _put(deployment: Deployment, text: str, by: str, reason: str, as_json: bool) -> None:
    from tallystick_producers import Actor, Recorder
    from tallystick_stream_jobs.policy.changes import By, change_file, digest_of
    from tallystick_stream_jobs.policy.load import named

    jobs = deployment.jobs()
    path = Path(jobs.policy_file)
    named(path.name, text)
    knock(deployment, "Kafka", "Nothing was changed.")
    with Recorder.open(deployment.agent(_AGENT)) as recorder:
        changed = change_file(recorder, Path(jobs.state_dir), path, text, By(Actor(by, "human"), reason))
    if as_json:
        emit_json({"file": str(path), "sha256": digest_of(text), "changed": changed, "by": by})
        return
    out().print(f"{path} is in force (sha256 {digest_of(text)[:16]}…)" if changed else "It was in force already.")


@policy.command()
@data_option
@json_option
@who_changes
@reason_option
@click.argument("detector")
def restore(data: Path, as_json: bool, by: str, reason: str, detector: str) -> int:
    """Give DETECTOR, which was wrong too often, its mode back. Verdicts of before count no more. Exit code 1 when it was not demoted."""
    import time

    from tallystick_producers import Actor, Recorder
    from tallystick_stream_jobs.policy.changes import By, record_change
    from tallystick_stream_jobs.policy.demotions import FILE_NAME, Standing, change_standing

    deployment = open_deployment(data)
    state_dir = Path(deployment.jobs().state_dir)
    knock(deployment, "Kafka", "Nothing was changed.")
    with Recorder.open(deployment.agent(_AGENT)) as recorder:
        text = change_standing(state_dir, detector, Standing(False, reason, by, time.time()))
        if text is not None:
            record_change(recorder, state_dir, FILE_NAME, text, By(Actor(by, "human"), reason))
    if as_json:
        emit_json({"detector": detector, "restored": text is not None, "by": by})
    else:
        out().print(f"{detector} has its mode back." if text is not None else f"{detector} was not demoted.")
    return 0 if text is not None else 1


_TEMPLATE = """\
# Thresholds, modes, and who is left alone: docs/detection-policy.md says what may stand here.
version: 1
mode: auto
detectors: {}
protected: []
exemptions: []
suppressions: []
grants: []
jobs: []
"""
