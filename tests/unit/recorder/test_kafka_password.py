"""A broker's password from a file: read once, refused when others could read it, never printed."""

import dataclasses
import logging
from pathlib import Path

import pytest
from tests.support.logs import ours
from tests.support.recorder import agent_settings

from tallystick_producers import Recorder
from tallystick_producers.errors import KeyFileError
from tallystick_producers.kafka_password import with_password
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.settings_check import mistakes_of

BASE = KafkaSettings("127.0.0.1:1", security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_username="agent/a")


def from_file(path: Path) -> KafkaSettings:
    return dataclasses.replace(BASE, sasl_password_file=str(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.password"
    path.write_text("s3cret-of-many-bits\n")
    path.chmod(0o600)
    return path


def test_it_is_read_and_used(file: Path) -> None:
    found = with_password(from_file(file))
    assert found.client_kwargs()["sasl_plain_password"] == "s3cret-of-many-bits"
    assert with_password(found) == found
    assert "s3cret" not in repr(found)
    assert "s3cret" not in str(mistakes_of(dataclasses.replace(found, bootstrap=1)))  # type: ignore[arg-type]


def test_settings_whose_file_was_not_read_make_no_client(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"agent/a at Kafka stands in .*a\.password, which was not read"):
        from_file(file).client_kwargs()


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o660, 0o666])
def test_one_that_others_can_reach_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        with_password(from_file(file))


@pytest.mark.parametrize(("content", "why"), [(b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "no password in UTF-8")])
def test_one_that_holds_nothing_is_refused(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=why):
        with_password(from_file(file))


def test_two_places_are_one_too_many(file: Path) -> None:
    with pytest.raises(SettingsError, match="both set"):
        with_password(dataclasses.replace(from_file(file), sasl_password="other"))


def test_a_recorder_reads_it_when_it_opens(file: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(agent_settings(tmp_path), kafka=from_file(file))
    with Recorder.open(settings) as recorder:
        assert recorder.settings.kafka.sasl_password == "s3cret-of-many-bits"
    file.unlink()
    with pytest.raises(KeyFileError, match=r"a\.password cannot be read"):
        Recorder.open(settings)


def test_scram_is_no_cause_for_alarm(caplog: pytest.LogCaptureFixture) -> None:
    """kafka-python says at each connection that credentials go in the clear; what else it says is told."""
    log = logging.getLogger("kafka.net.sasl.scram")
    with caplog.at_level(logging.WARNING):
        log.warning("Exchanging credentials in the clear during Sasl Authentication")
        log.warning("something else")
    assert [record.message for record in ours(caplog, "kafka.net.sasl.scram")] == ["something else"]
