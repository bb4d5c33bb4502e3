"""The real servers in containers, where a Docker engine answers; a skip with its reason elsewhere."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tallystick_schemas.settings import ClickHouseSettings, KafkaSettings

CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:25.8"
KAFKA_IMAGE = "apache/kafka:4.1.0"


def need_docker() -> None:
    """Skip, saying why."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        client.ping()
        client.close()
    except (DockerException, OSError) as error:
        pytest.skip(f"no Docker engine answers: {str(error)[:120]}")


@contextmanager
def clickhouse_container() -> Iterator[ClickHouseSettings]:
    need_docker()
    from testcontainers.clickhouse import ClickHouseContainer

    with ClickHouseContainer(CLICKHOUSE_IMAGE, port=8123, username="tallystick", password="secret", dbname="default") as server:
        host, port = server.get_container_host_ip(), int(server.get_exposed_port(8123))
        yield ClickHouseSettings(host=host, port=port, username="tallystick", password="secret", database="tallystick")


@contextmanager
def kafka_container() -> Iterator[KafkaSettings]:
    need_docker()
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The broker tells clients its own address, so the port outside must be the one it names.
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_MESSAGE_MAX_BYTES": str(8 << 20),
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in settings.items():
        container = container.with_env(name, value)
    with container as server:
        wait_for_logs(server, "Kafka Server started", timeout=60)
        yield KafkaSettings(bootstrap=f"127.0.0.1:{port}")
