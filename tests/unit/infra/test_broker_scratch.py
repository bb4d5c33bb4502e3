"""Where the embedded broker's process puts what it unpacks and then runs: never where other users of the machine may write."""

from pathlib import Path

from tallystick_infra.deployment.broker_users import CertificateFiles
from tallystick_infra.kafka.broker import BrokerSettings, _java


def test_the_broker_unpacks_its_libraries_into_its_own_directory(tmp_path: Path) -> None:
    """LZ4 writes a library into `java.io.tmpdir` and loads it by name: in /tmp another user can put his own file in its place."""
    settings = BrokerSettings(tmp_path / "kafka", 1, 2, 3, CertificateFiles(tmp_path / "tls"))
    named = [one.partition("=")[2] for one in _java(settings, tmp_path / "jars") if one.startswith("-Djava.io.tmpdir=")]
    assert [Path(one).is_relative_to(settings.directory) for one in named] == [True]
