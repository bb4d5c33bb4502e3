"""A command of several commands."""

import click

_WHOLE = 1_000
"""Characters of a line of help, more than any has: click cuts what is longer in the middle of the sentence."""


class Group(click.Group):
    """Shows the whole first sentence of what each of its commands does."""

    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in commands])
