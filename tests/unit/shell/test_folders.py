"""What a job leaves where it is started."""

import asyncio
from pathlib import Path

import pytest

from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell.faust_app import Hooks, make_app


def test_a_job_makes_no_folder_where_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app("test", KafkaSettings(), Hooks(lambda *_: None, lambda: 0.0, lambda _: None))  # type: ignore[arg-type,return-value]  # nobody asks
    asyncio.run(app.on_first_start())
    assert list(tmp_path.iterdir()) == []
