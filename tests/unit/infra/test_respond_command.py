"""`tallystick lock`, `unlock`, `revoke`: what is refused before anything is asked or written."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick_infra.cli import cli
from tallystick_infra.cli.respond import MAX_MINUTES

ORDERS = (["lock", "--plan"], ["lock", "--reason", "r"], ["unlock", "--reason", "r"], ["revoke", "--reason", "r"])


@pytest.mark.parametrize("minutes", ["-5", "0", "nan", "inf", "-inf", "1e12", str(MAX_MINUTES + 1)])
def test_a_lock_lasts_for_a_time_that_is_one(minutes: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["lock", "ann", "--reason", "r", "--minutes", minutes, "--data", str(tmp_path)])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "--minutes" in done.stderr
    assert "is not above 0 and at most 527040" in done.stderr


@pytest.mark.parametrize("subject", ["", "   ", "principal:", "credential:", "credential: ", "an\x1b[2Jn", "ann\n"])
@pytest.mark.parametrize("order", ORDERS)
def test_who_is_named_can_be_seen(order: list[str], subject: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [*order, "--data", str(tmp_path), subject])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "SUBJECT" in done.stderr
    assert "\x1b" not in done.stderr
