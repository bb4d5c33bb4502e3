"""What commands share: the deployment's option, JSON on the last line, what must answer, how they end."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.collector import walk_modules_once, walk_once

from .. import logs, terminal
from ..deployment import Deployment, default_data
from ..knocking import Store, knock

out, emit_json = terminal.out, terminal.emit_json
_MAX_DAYS: Final = 36_500
F = TypeVar("F", bound=Callable[..., Any])


def begin_part(name: str, *, serves: bool = False) -> None:
    """What each part's process does first: log to stderr, and walk through what lives long once. `serves`: whether strangers connect to it; its modules
    are imported before."""
    logs.log_to_stderr(name)
    (walk_modules_once if serves else walk_once)()


def _data() -> Path:
    """Where no `--data` is given: what the group in front of the command was given, as `tallystick sealer --data DIR adopt`, else the default."""
    group = click.get_current_context().parent
    return group.params["data"] if group is not None and "data" in group.params else default_data()


def data_option(command: F) -> F:
    """`--data DIR`, given to the command as `data: Path`."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=_data,
        show_default="TALLYSTICK_DATA, or the platform's user data directory",
        help="Directory of the deployment.",
    )(command)


def json_option(command: F) -> F:
    """`--json`, given to the command as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line, also of an error.")(command)


def adopt_option(command: F) -> F:
    """`--adopt PART`, given to the command as `adopt: tuple[str, ...]`."""
    words = "Let this part read on, once, what an earlier version kept without a signature; it is recorded as the operator's act."
    return click.option("--adopt", type=click.Choice(["detectors"]), multiple=True, help=words)(command)


def expiry(days: float, now: float) -> str:
    """The wire time `days` after `now` (seconds since 1970); BadParameter for what is no span of days."""
    if not 0 < days <= _MAX_DAYS:  # false for NaN too
        raise click.BadParameter(f"{days} is not more than 0 and at most {_MAX_DAYS}", param_hint="--days")
    return wire_time(now + days * 86_400)


def open_deployment(data: Path) -> Deployment:
    """The deployment in `data`; NoDeployment says how to make one."""
    return Deployment.open(data)


def open_running(data: Path, *needs: Store, so: str = "") -> Deployment:
    """The deployment in `data`, of which `needs` answer; NoDeployment, or NothingAnswers, which ends with `so`: what was therefore not done."""
    deployment = open_deployment(data)
    for store in needs:
        knock(deployment, store, so)
    return deployment


def end_on_sigterm() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, with what it began put away; exit code 143."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
