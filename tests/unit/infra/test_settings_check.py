"""Mistakes in settings: all of them, once, before anything starts."""

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick_infra.cli import cli, up
from tallystick_infra.deployment import Deployment
from tallystick_infra.settings_check import mistakes
from tallystick_schemas.errors import SettingsError

STILL = {"embedded": {"kafka_port": 0, "controller_port": 0, "clickhouse_port": 1}}
WRONG = {
    "jobs": {"state_dir": "/x"},
    "gateway": {"rout": "/y"},
    "console": {"port": "many"},
    "outbox": {"tries": 3},
    "signals": {"lisen": 1},
}


def test_good_settings_have_no_mistakes(tmp_path: Path) -> None:
    assert mistakes(Deployment.create(tmp_path / "data", STILL)) == []


def test_every_section_is_read_and_each_mistake_is_told_once(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data", STILL | WRONG)
    (deployment.path / "connectors.toml").write_text('[siem]\nkind = "pigeon"\n')
    found = mistakes(deployment)
    for section in ("jobs", "gateway", "console", "outbox", "siem", "signals"):
        assert any(f"[{section}]" in one for one in found), (section, found)
    assert len(found) == len(set(found)) == 6
    assert "state_dir" not in found[0].split("it knows")[1], "what the deployment decides is no setting"


def test_up_starts_nothing_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(up, "Supervisor", never)
    Deployment.create(tmp_path / "data", STILL | {"outbox": {"tries": 3}})
    done = CliRunner().invoke(cli, ["up", "--data", str(tmp_path / "data")], standalone_mode=False)
    assert isinstance(done.exception, SettingsError)
    assert "[outbox] has no setting 'tries'" in str(done.exception)


def test_doctor_tells_them_with_their_section_and_looks_at_the_rest(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data", STILL | {"kafka": {"bootsrap": "x"}, "gateway": {"rout": "/y"}})
    run = CliRunner()
    shown = run.invoke(cli, ["doctor", "--data", str(deployment.path)], standalone_mode=False).stdout
    assert "[gateway] has no setting 'rout'" in shown, "rich took the section for a style"
    checks = json.loads(run.invoke(cli, ["doctor", "--json", "--data", str(deployment.path)], standalone_mode=False).stdout)["checks"]
    told = [one["seen"] for one in checks if one["name"] == "settings"]
    assert [one.split(" ")[0] for one in told] == ["[kafka]", "[gateway]"]
    assert "nothing answers" in next(one["seen"] for one in checks if one["name"] == "clickhouse")
    assert {one["seen"] for one in checks if one["name"] == "tokens"} == {"not looked at: its settings cannot be used"}


def test_what_is_no_section_is_named(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data", STILL)
    path = deployment.path / "tallystick.toml"
    path.write_text(f"gateway = 5\n{path.read_text()}\n[gatewy]\nport = 1\n")
    with pytest.raises(SettingsError) as told:
        Deployment.open(deployment.path)
    assert [one.removeprefix(str(path)) for one in told.value.mistakes] == [
        " has a section [gatewy] that nobody reads",
        ": gateway is not a section",
    ]


def test_detect_policy_tells_each_mistake_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deployment = Deployment.create(tmp_path / "data", STILL)
    (deployment.path / "detection.yaml").write_text("detectors: {D99: {}}\n")
    with caplog.at_level(logging.DEBUG):
        done = CliRunner().invoke(cli, ["detect", "policy", "--data", str(deployment.path)], standalone_mode=False)
    assert done.return_value == 1
    assert f"{done.output}{caplog.text}".count("there is no detector D99") == 1
    assert (
        "not used; detectors that run keep the policy they have, and a start would take the defaults, and nothing acts by itself"
        in done.output
    )
