"""Who orders something, and why: `--by`, and the rule for `--reason` in the console's words."""

import getpass
from collections.abc import Callable
from typing import Any

import click

from tallystick_schemas.orders import MAX_REASON, MIN_REASON, REASON_RULE


def checked_reason(_ctx: click.Context, _param: click.Parameter, given: str | None) -> str | None:
    """The reason without the blanks around it; BadParameter says what is wrong with it. A missing one is for who needs it to refuse."""
    if given is None:
        return None
    reason = given.strip()
    if not reason:
        raise click.BadParameter(f"it is empty. {REASON_RULE}")
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise click.BadParameter(f"it has {len(reason):,}. {REASON_RULE}")
    return reason


def by_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--by NAME`, given to the command as `by: str`; `what` begins its help."""
    said = f"{what}; it stands in the history."
    return click.option("--by", default=getpass.getuser, show_default="your user name", callback=_checked_name, help=said)


def _checked_name(_ctx: click.Context, _param: click.Parameter, given: str) -> str:
    from tallystick_stream_jobs.responder.names import flaw_of

    if flaw := flaw_of(given):
        raise click.BadParameter(flaw)
    return given
