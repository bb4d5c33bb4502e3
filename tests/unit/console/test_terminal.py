"""What the terminal says where the console's pages say the same."""

import re
from pathlib import Path
from urllib.parse import unquote

import click
import msgspec
import pytest
from click.testing import CliRunner

from tallystick_dashboard.parts import level_badge
from tallystick_dashboard.tokens import open_link_token
from tallystick_dashboard.used_links import read_secret
from tallystick_infra.cli.console_settings import checked_name, login_name
from tallystick_infra.cli.processes import console
from tallystick_infra.cli.respond_show import acknowledged, lock_end, lock_facts, shown_level
from tallystick_infra.deployment import Deployment
from tallystick_schemas.messages import Level, Lock, Point
from tallystick_stream_jobs.responder.points import Standing


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "no end"),
        ({"level": "revoke"}, "for good"),
        ({"until": "2001-11-23T21:11:54.123456Z"}, "2001-11-23 21:11"),
        ({"state": "unlocked"}, ""),
    ],
)
def test_a_lock_without_an_end_says_so(facts: dict[str, str], said: str) -> None:
    lock = Lock(**({"subject": "principal:ana", "state": "locked", "command": "c", "reason": "r", "by": "bo", "at": "a"} | facts))  # type: ignore[arg-type]
    assert lock_end(lock) == said


@pytest.mark.parametrize("level", ["step-up", "suspend", "revoke"])
def test_a_level_has_the_words_of_the_console(level: Level) -> None:
    lock = Lock(subject="principal:ana", state="locked", command="c", reason="r", by="bo", at="a", level=level)
    badge = level_badge(lock).children
    assert shown_level(lock) == (badge if isinstance(badge, str) else badge[-1])
    facts = lock_facts(lock)
    assert (facts["level"], facts["level_shown"]) == (level, shown_level(lock))
    assert lock_facts(msgspec.structs.replace(lock, state="unlocked"))["level_shown"] == "lifted"


@pytest.mark.parametrize(
    ("acked", "at_start", "said"),
    [
        ({}, frozenset[str](), "0 of 0"),
        ({"a": 54087.0, "b": 20.0}, frozenset({"a"}), "2 of 2, the slowest after 20 ms, 1 applied when it started"),
        ({"a": 54087.0, "b": None}, frozenset({"a"}), "1 of 2, 1 applied when it started; not: b"),
    ],
)
def test_a_point_that_started_after_a_lock_was_not_slow(acked: dict[str, float | None], at_start: frozenset[str], said: str) -> None:
    point = Point(name="g", kind="gateway", version="1", at="a")
    assert acknowledged(Standing(point, 0.0, acked, at_start)) == said


@pytest.mark.parametrize(("options", "who"), [(["--as", "bo@example.org"], "bo@example.org"), ([], "the-login")])
def test_a_link_is_one_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], who: str) -> None:
    monkeypatch.setenv("LOGNAME", "the-login")
    deployment = Deployment.create(tmp_path / "d", {})
    said = CliRunner().invoke(console, ["--data", str(deployment.path), "link", *options], catch_exceptions=False)
    token = re.search(r"\?t=(\S+)", said.output)
    assert token is not None, said.output
    assert open_link_token(read_secret(str(deployment.keys / "console.secret")), unquote(token[1]), 0.0).who == who


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_what_is_no_name_signs_nobody_in(name: str) -> None:
    with pytest.raises(click.BadParameter, match="is no name"):
        checked_name(name)


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert login_name().startswith("uid-")
