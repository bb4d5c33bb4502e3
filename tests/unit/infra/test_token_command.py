"""`tallystick token` and doctor's look at the token file: nothing is written that cannot be read, and a bad line is named."""

from pathlib import Path

import pytest

from tallystick_infra.cli import main
from tallystick_infra.cli.doctor_here import tokens
from tallystick_infra.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment.create(tmp_path / "d", {})


def run(deployment: Deployment, *arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["token", arguments[0], "--data", str(deployment.path), *arguments[1:]])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    "arguments",
    [
        [""],
        [" "],
        ["a" * 257],
        ["ann", "--role", ""],
        ["ann", "--role", "r" * 257],
        *(["ann", "--days", days] for days in ("0", "-1", "nan", "inf", "-inf", "1e300", "36501")),
    ],
)
def test_no_token_is_made_of_what_cannot_be_read_back(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    before = Path(deployment.gateway().tokens_file)
    assert run(deployment, "add", *arguments) != 0
    said = capsys.readouterr()
    assert "ts_" not in said.out + said.err
    assert "Error:" in said.err
    assert not before.exists() or not before.read_bytes()


def test_revoke_works_beside_a_bad_line_and_says_which(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(deployment.gateway().tokens_file)
    assert run(deployment, "add", "ann@example.org") == 0
    credential = capsys.readouterr().out.split("credential ")[1].split(",")[0]
    path.write_bytes(b"half a li\n" + path.read_bytes())
    assert [(check.ok, "tokens.jsonl, line 1" in check.seen) for check in tokens(deployment)] == [(False, True)]
    assert run(deployment, "list") == 0
    assert "tokens.jsonl, line 1" in capsys.readouterr().err
    assert run(deployment, "revoke", credential) == 0
    assert "tokens.jsonl, line 1" in capsys.readouterr().err
    assert path.read_bytes() == b"half a li\n"


def test_doctor_says_how_many_tokens_and_what_is_wrong_with_the_file(deployment: Deployment) -> None:
    path = Path(deployment.gateway().tokens_file)
    path.unlink(missing_ok=True)
    assert [(check.ok, "nobody is let in" in check.seen) for check in tokens(deployment)] == [(True, True)]
    run(deployment, "add", "ann@example.org")
    assert [(check.ok, check.seen) for check in tokens(deployment)] == [(True, "1 in tokens.jsonl")]
    path.chmod(0o644)
    assert [(check.ok, "chmod 600" in check.seen) for check in tokens(deployment)] == [(False, True)]
