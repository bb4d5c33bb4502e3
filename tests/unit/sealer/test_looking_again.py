"""A sealer that may not sign looks again after a time that follows what a look takes, however long it sealed before."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_stream_jobs.errors import StoreForgot
from tallystick_stream_jobs.sealer import job


@pytest.mark.parametrize(("look_s", "waits"), [(0.1, 5.0), (2.0, 20.0)])
def test_hours_of_sealing_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look_s: float, waits: float) -> None:
    clock, waited = [100.0], []

    def check(_: Any) -> None:
        clock[0] += look_s

    def seals(*_: Any) -> None:
        clock[0] += 7200.0
        raise StoreForgot(33)

    def wait(seconds: float, stopping: list[bool]) -> None:
        waited.append(seconds)
        stopping.append(True)

    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(job, "signal", SimpleNamespace(signal=lambda *_: None, SIGTERM=15, SIGINT=2))
    monkeypatch.setattr(job, "clickhouse_connect", SimpleNamespace(get_client=lambda **_: None))
    for name, value in (("Notes", None), ("read_published", ()), ("ClickHouseSealStore", None), ("Sealer", SimpleNamespace(check=check))):
        monkeypatch.setattr(job, name, lambda *_, value=value: value)
    monkeypatch.setattr(job, "_run", seals)
    monkeypatch.setattr(job, "_wait", wait)
    settings: Any = SimpleNamespace(log=None, kafka=None, clickhouse=SimpleNamespace(client_kwargs=dict))
    job.run_sealer(settings, Ed25519PrivateKey.generate(), tmp_path)
    assert waited == [pytest.approx(waits)]
