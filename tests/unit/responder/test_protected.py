"""Whom no automation locks: settings and policy file, also while the file changes or turns bad."""

import os
from pathlib import Path

from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_stream_jobs.responder.protected import Protected


def made(path: Path | None) -> Protected:
    file = str(path) if path is not None else ""
    return Protected(JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings("test"), "", protected=("root",), policy_file=file))


def write(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def test_settings_and_file_count_together_and_a_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "detection.yaml"
    protected = made(path)
    assert protected.names(0.0) == {"root"}
    write(path, "protected: [{principal: ann@example.org, reason: break glass}]\n")
    assert protected.names(0.5) == {"root"}, "looked at once a second"
    assert protected.names(1.0) == {"root", "ann@example.org"}
    write(path, "protected: [\n")
    assert protected.names(2.0) == {"root", "ann@example.org"}, "a slip of the pen takes no protection away"
    write(path, "protected: [{principal: bob@example.org, reason: break glass}]\n")
    assert protected.names(3.0) == {"root", "bob@example.org"}
    path.unlink()
    assert protected.names(4.0) == {"root"}


def test_without_a_file_the_settings_stand() -> None:
    assert made(None).names(0.0) == {"root"}
