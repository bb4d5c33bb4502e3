"""Why somebody orders something: the rule for `--reason`, in the console's words."""

from typing import Final

import click

MIN_REASON: Final = 8
MAX_REASON: Final = 1_000
RULE: Final = f"Give a reason of {MIN_REASON} to {MAX_REASON:,} characters. It is kept in the record."


def checked_reason(_ctx: click.Context, _param: click.Parameter, given: str | None) -> str | None:
    """The reason without the blanks around it; BadParameter says what is wrong with it. A missing one is for who needs it to refuse."""
    if given is None:
        return None
    reason = given.strip()
    if not reason:
        raise click.BadParameter(f"it is empty. {RULE}")
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise click.BadParameter(f"it has {len(reason):,}. {RULE}")
    return reason
