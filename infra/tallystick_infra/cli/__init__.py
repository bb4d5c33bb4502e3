"""The `tallystick` command. Each command's module is imported when it is called, so that --help stays quick."""

import sys
from importlib import import_module
from typing import Any

import click

from tallystick_schemas import __version__

from ..logs import show_uncaught
from .telling import tell, told, wants_json

_COMMANDS = {
    "demo": ("demo", "demo", "A theft, start to finish, on real parts of its own."),
    "up": ("up", "up", "Run all parts until Ctrl-C."),
    "doctor": ("doctor", "doctor", "Is everything reachable, configured, in step, and how far behind?"),
    "lock": ("respond", "lock", "Suspend a principal or a credential."),
    "unlock": ("respond", "unlock", "Lift a lock."),
    "revoke": ("respond", "revoke", "Lock for good, by two people."),
    "locks": ("respond_show", "locks", "Who is locked, why, until when; which points deny; what waits for people."),
    "outbox": ("outbox", "outbox", "What is told to other systems, and whether locks hold."),
    "signals": ("signals", "signals", "Shared signals: streams, keys, tokens."),
    "findings": ("feedback", "findings", "What the detectors found, newest first; close one with what it was."),
    "rules": ("rules", "rules", "Detection rules of your own: test, list."),
    "detect": ("detect", "detect", "Detectors: list, policy, quality, and the reasoning behind a finding."),
    "audit": ("audit", "audit", "Verify the history without trusting us."),
    "collect": ("collect", "collect", "Record events from log files, each line exactly once."),
    "agent": ("agent_roles", "agent", "Keys of agents, and what each may say: enrol, list, scope, rotate, revoke."),
    "keys": ("keys", "keys", "Keys of operators and sealers: list, next, retire."),
    "token": ("tokens", "token", "Bearer tokens of the gateway."),
    "gateway": ("processes", "gateway", "The door to a folder of artifacts."),
    "console": ("processes", "console", "The incident console, and its sign-in links."),
    "jobs": ("processes", "jobs", "One stream job, for production."),
    "sealer": ("sealer", "sealer", "Sign checkpoints of what the store holds; adopt what was signed after a restore."),
    "topics": ("topics", "topics", "Kafka topics: make, check, announce."),
    "migrate": ("topics", "migrate", "Bring ClickHouse's tables up to date."),
    "drill": ("drill", "drill", "Exercises: attacks by nobody, graded against the record."),
    "evaluate": ("evaluate", "evaluate", "How often the detectors are right and wrong, on any log."),
    "bench": ("bench", "bench", "Measure this machine: ingest, respond, orders, verify, detect, signing."),
}


class LazyGroup(click.Group):
    """Knows the names and one line of help of its commands, and imports one when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tallystick")
def cli() -> None:
    """Keep a tamper-evident record of who touches shared models and datasets, stop the thief, prove the story."""


def main(argv: list[str] | None = None) -> None:
    """Entry point: every error that we raise on purpose is a sentence and an exit code, never a traceback."""
    show_uncaught()
    try:
        outcome: Any = cli.main(args=argv, prog_name="tallystick", standalone_mode=False)
    except Exception as error:
        what = told(error)
        if what is None:
            raise
        tell(error, what, as_json=wants_json(sys.argv[1:] if argv is None else argv))
        sys.exit(what.exit)
    sys.exit(outcome if isinstance(outcome, int) else 0)
