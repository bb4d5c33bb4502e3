"""`tallystick rules`: what is good, what is refused and where, and the exit code."""

import json
from pathlib import Path

from click.testing import CliRunner
from tests.support.sigma import SHIPPED

from tallystick_infra.cli.rules import rules


def run(*words: str) -> tuple[int, str]:
    """(exit code as `main` gives it, output)."""
    outcome = CliRunner().invoke(rules, words, standalone_mode=False)
    assert outcome.exception is None, outcome.exception
    return outcome.return_value or 0, outcome.output


def test_good_rules() -> None:
    code, text = run("test", str(SHIPPED))
    assert code == 0
    assert "4 files, 4 rules good, 0 refused." in text


def test_a_refused_rule_is_named_with_its_part(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text((SHIPPED / "scripted_client.yml").read_text().replace("src_ip|cidr", "src_ip|base64"))
    code, text = run("test", str(tmp_path), str(SHIPPED))
    assert code == 1
    assert "bad.yml" in text
    assert "detection.build.src_ip|base64: the modifier 'base64' is not supported" in text.replace("\n", " ")
    code, text = run("test", "--json", str(tmp_path))
    told = json.loads(text.splitlines()[-1])
    assert (code, told["files"], told["passed"]) == (1, 1, [])
    assert told["failed"][0]["part"] == "detection.build.src_ip|base64"


def test_a_deployment_s_rules(tmp_path: Path) -> None:
    assert run("test", "--data", str(tmp_path))[0] == 0
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "one.yml").write_text((SHIPPED / "self_grant.yml").read_text())
    (tmp_path / "rules" / "two.yml").write_text("title: [")
    code, text = run("list", "--data", str(tmp_path), "--json")
    told = json.loads(text.splitlines()[-1])
    assert code == 1, "one is left out"
    assert [(one["id"], one["act"], one["techniques"]) for one in told["rules"]] == [("U-5a1d3f70", "alert", ["T1098", "T1530"])]
    assert [Path(one["path"]).name for one in told["refused"]] == ["two.yml"]
    assert "left out" in run("list", "--data", str(tmp_path))[1]
