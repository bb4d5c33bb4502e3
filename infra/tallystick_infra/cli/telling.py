"""How a command's error is told: a sentence on standard error, an exit code, and with --json one object as the last line of standard output."""

from collections.abc import Sequence
from typing import NamedTuple

import click

from tallystick_schemas.errors import SettingsError, TallystickError

from ..terminal import echo, echo_click, echo_error, emit_json

_STOPPED = 130


class Told(NamedTuple):
    """What is said of an error that was raised on purpose."""

    sentence: str
    exit: int


def told(error: Exception) -> Told | None:
    """None for a mistake of ours, which stays a traceback."""
    if isinstance(error, click.exceptions.Abort):
        return Told("stopped", _STOPPED)
    if isinstance(error, click.ClickException):
        return Told(error.format_message(), error.exit_code if error.exit_code != 1 else 3)
    if isinstance(error, SettingsError):
        return Told(f"these settings cannot be used: {error}", 3)
    if isinstance(error, TallystickError):
        return Told(str(error), getattr(error, "exit_code", 1))
    store = _store_of(error)
    if store is None:
        return None
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Told(f"{store}: {said}; `tallystick doctor` tells what is wrong", 1)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether --json stands among the options. By the words: a command line with a mistake in it may not have been read as far as there."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def tell(error: Exception, what: Told, *, as_json: bool) -> None:
    """People read standard error; a script reads the last line of standard output."""
    if isinstance(error, click.ClickException):
        echo_click(error)
    elif isinstance(error, click.exceptions.Abort):
        echo(what.sentence, err=True)
    elif isinstance(error, SettingsError):
        echo("error: these settings cannot be used:", err=True)
        for mistake in error.mistakes:
            echo(f"  - {mistake}", err=True)
    else:
        echo_error(what.sentence)
    if as_json:
        emit_json({"error": what.sentence, "exit": what.exit})


def _store_of(error: Exception) -> str | None:
    """Whose client library an error is of. By its module's name: importing the libraries to ask takes as long as a command."""
    families = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return next((store for family, store in (("kafka", "Kafka"), ("clickhouse_connect", "ClickHouse")) if family in families), None)
