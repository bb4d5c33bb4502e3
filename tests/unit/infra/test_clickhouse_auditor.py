"""The password of the embedded ClickHouse's auditor: made with a deployment, readable by its owner alone, not the other user's."""

from pathlib import Path

import pytest

from tallystick_infra.deployment import Deployment
from tallystick_infra.supervisor.parts import Part
from tallystick_infra.supervisor.run import Supervisor


def test_a_new_deployment_has_it(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data")
    path = deployment.auditor_password
    assert (path, path.stat().st_mode & 0o777) == (deployment.keys / "clickhouse-auditor.password", 0o600)
    assert path.read_text() != (deployment.keys / "clickhouse.password").read_text()
    assert len(path.read_text()) >= 43


class Stopped(Exception):
    """The store was about to start."""


def test_a_deployment_of_an_earlier_version_gets_it_before_the_store_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment.create(tmp_path / "data")
    deployment.auditor_password.unlink()
    started: list[Part] = []

    def start(_self: Supervisor, part: Part) -> None:
        started.append(part)
        raise Stopped

    monkeypatch.setattr(Supervisor, "_start", start)
    monkeypatch.setattr(Supervisor, "_choose_ports", lambda self: self._ports.update(clickhouse=1))
    with pytest.raises(Stopped):
        Supervisor(deployment).start()
    assert started[0].command[-2:] == ["--auditor-password-file", str(deployment.auditor_password)]
    assert deployment.auditor_password.stat().st_mode & 0o777 == 0o600
