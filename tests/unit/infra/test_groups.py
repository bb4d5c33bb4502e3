"""Commands of several commands: whole sentences in their help, and `--data` in front of a command or behind it."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tallystick_infra.cli import cli, main
from tallystick_infra.cli.groups import Group
from tallystick_infra.deployment import Deployment


def groups(group: click.Group, context: click.Context) -> Iterator[tuple[click.Group, click.Context]]:
    """Each group below `group`, with the context of its help."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            below = click.Context(command, info_name=name, parent=context)
            yield command, below
            yield from groups(command, below)


def test_help_cuts_no_sentence() -> None:
    found = list(groups(cli, click.Context(cli, info_name="tallystick")))
    assert {"signals", "keys", "sealer", "bench"} <= {context.info_name for _, context in found}
    for group, context in found:
        assert isinstance(group, Group), context.command_path
        _, _, commands = group.get_help(context).partition("\nCommands:\n")
        assert commands
        assert "..." not in commands, context.command_path


@pytest.mark.parametrize(
    "command",
    [
        ["console", "{}", "link"],
        ["console", "link", "{}"],
        ["outbox", "{}", "list"],
        ["detect", "policy", "{}", "restore", "D01", "--reason", "a reason"],
    ],
)
def test_data_counts_in_front_of_a_command_and_behind_it(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYSTICK_DATA", str(tmp_path / "other"))
    with pytest.raises(SystemExit):
        main([word.format(f"--data={tmp_path / 'named'}") for word in command])
    said = capsys.readouterr().err
    assert "named" in said
    assert "other" not in said


def test_data_behind_a_command_counts_before_what_stands_in_front(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    with pytest.raises(SystemExit) as left:
        main(["console", f"--data={tmp_path / 'other'}", "link", f"--data={deployment.path}"])
    assert left.value.code == 0
    assert "/sign-in" in capsys.readouterr().out
