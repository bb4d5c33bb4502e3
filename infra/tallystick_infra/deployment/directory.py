"""The deployment's directory: made with its keys on first use, opened by every command, and turned into settings for each process."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import tomli_w

from tallystick_producers.kafka_password import with_password
from tallystick_producers.public_url import check_public_url
from tallystick_schemas.access import CLI
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import AgentSettings, ClickHouseSettings, GatewaySettings, JobSettings, KafkaSettings, LogSettings, build

from ..built_in import BUILT_IN_AGENTS
from ..clickhouse.grants import Role
from ..errors import NoDeployment, NotMade, NotOurs, UnsafeKeyFile
from .broker_users import BrokerUsers, as_user
from .config_files import read_tables
from .keyfiles import file_name, make_key, make_secret, read_secret, replace_secret
from .runfile import read_run
from .store_secrets import make_store_secrets, store_settings

SECTIONS = frozenset({"log", "kafka", "clickhouse", "embedded", "gateway", "console", "jobs", "agent", "outbox", "signals"})


_FOLDERS = ("kafka", "clickhouse", "spool", "sealer", "logs", "jobs", "artifacts")
_SHARDS_NOTE = """\
# Partitions of the topic `events`, each a history of its own under one root. Chosen once: every reader must say the same, the root log names them for
# good, and another number is another deployment."""
_UNFINISHED = ".tallystick.toml.new"
_EXPECTED = frozenset({*_FOLDERS, "keys", _UNFINISHED, "detection.yaml", "connectors.toml", "rules", "tokens.jsonl", "lost+found"})
"""What a directory may hold without being a deployment yet; lost+found is in every disk of its own."""


@dataclass(frozen=True)
class EmbeddedSettings:
    """Ports of the embedded parts; 0 takes a free one. `enabled` false: Kafka and ClickHouse are somebody else's."""

    kafka: bool = True
    clickhouse: bool = True
    kafka_port: int = 47092
    controller_port: int = 47093
    clickhouse_port: int = 47123
    kafka_heap_mb: int = 512


def default_data() -> Path:
    """`TALLYSTICK_DATA`, or the platform's place for a user's data."""
    return Path(os.environ.get("TALLYSTICK_DATA") or platformdirs.user_data_dir("tallystick", appauthor=False))


@dataclass(frozen=True)
class Deployment:
    """One deployment directory and its `tallystick.toml`."""

    path: Path
    tables: Mapping[str, Mapping[str, Any]]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @classmethod
    def create(cls, path: Path, tables: Mapping[str, Mapping[str, Any]] | None = None) -> "Deployment":
        """Open the deployment in `path`, making directory, keys and settings file when there are none; `tables` go into a new file.

        NotOurs for a directory that holds something else, NotMade where none can be made.
        """
        path = path.absolute()
        try:
            if not (path / "tallystick.toml").exists():
                _check_place(path)
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write_settings(path, tables or {})
            make_store_secrets(path / "keys")  # deployments of earlier versions have none
        except OSError as error:
            raise NotMade(path, error) from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "Deployment":
        """NoDeployment when there is none; SettingsError when its file cannot be read, or others can get at a password in it."""
        path = path.absolute()
        try:
            tables = read_tables(path / "tallystick.toml")
        except FileNotFoundError as error:
            raise NoDeployment(path) from error
        mistakes = [f"{path / 'tallystick.toml'} has a section [{name}] that nobody reads" for name in sorted(set(tables) - SECTIONS)]
        mistakes += [
            f"{path / 'tallystick.toml'}: {name} is not a section" for name, table in tables.items() if not isinstance(table, dict)
        ]
        if mistakes:
            raise SettingsError(mistakes)
        return cls(path, tables)

    def _table(self, section: str) -> dict[str, Any]:
        return dict(self.tables.get(section, {}))

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    def embedded(self) -> EmbeddedSettings:
        return build(EmbeddedSettings, "embedded", self._table("embedded"), self.env)

    def log(self) -> LogSettings:
        return build(LogSettings, "log", self._table("log"), self.env)

    @property
    def broker_users(self) -> BrokerUsers:
        """Passwords of the embedded broker's users."""
        return BrokerUsers(self.keys)

    def kafka(self, role: str = CLI) -> KafkaSettings:
        """Where Kafka is: as the running supervisor says, else as configured. The embedded one is spoken to as `role`'s user."""
        return self._kafka(*self.broker_users.part(role))

    def _kafka(self, user: str, password: Path) -> KafkaSettings:
        table, run = self._table("kafka"), read_run(self.path)
        if not self.embedded().kafka:
            return with_password(build(KafkaSettings, "kafka", table, self.env))
        table["bootstrap"] = run.kafka if run else f"127.0.0.1:{self.embedded().kafka_port}"
        return as_user(build(KafkaSettings, "kafka", table, self.env), user, password)

    def kafka_admin(self) -> KafkaSettings:
        """The embedded broker as its super user sees it; a Kafka of somebody else's as everybody does."""
        run = read_run(self.path)
        if not self.embedded().kafka:
            return self.kafka()
        return self.broker_users.certificates.client(run.kafka_admin if run else "")

    def clickhouse(self, role: Role = "cli") -> ClickHouseSettings:
        """Where ClickHouse is, and how `role` signs in to the embedded one; what commands read with may do no more than read."""
        table, run = self._table("clickhouse"), read_run(self.path)
        if self.embedded().clickhouse:
            port = run.clickhouse_port if run else self.embedded().clickhouse_port
            table |= {"port": port, **store_settings(self.keys, role)}
        elif table.get("ca_cert"):
            table["ca_cert"] = str(self.path / str(table["ca_cert"]))
        return build(ClickHouseSettings, "clickhouse", table, self.env)

    def jobs(self, role: Role = "cli") -> JobSettings:
        """What a stream job needs; `role` is its user of the embedded broker and store."""
        given = {"kafka": self.kafka(role), "clickhouse": self.clickhouse(role), "log": self.log(), "state_dir": str(self.path / "jobs")}
        table = {"policy_file": str(self.path / "detection.yaml")} | self._table("jobs")
        return build(JobSettings, "jobs", table, self.env, given)

    def agent(self, name: str) -> AgentSettings:
        """An agent whose key and spool live in this deployment."""
        users = self.broker_users
        given = {
            "agent": name,
            "kafka": self._kafka(*(users.part(name) if name in BUILT_IN_AGENTS else users.agent(name))),
            "log": self.log(),
            "key_file": str(self.agent_key(name)),
            "spool_dir": str(self.path / "spool" / file_name(name)),
        }
        return build(AgentSettings, "agent", self._table("agent"), self.env, given)

    def agent_key(self, name: str) -> Path:
        return self.keys / "agents" / f"{file_name(name)}.key"

    def probe_secret(self) -> str:
        """The random part of the canary's token, made at the first call: by it each gateway can be asked who would get in (docs/adr/0016)."""
        return make_secret(self.keys / "probe.secret")

    def gateway(self) -> GatewaySettings:
        table = {"root": str(self.path / "artifacts"), "tokens_file": str(self.path / "tokens.jsonl")} | self._table("gateway")
        settings = build(GatewaySettings, "gateway", table, self.env)
        check_public_url("gateway", settings.public_url)
        return settings

    def outbox_table(self) -> dict[str, Any]:
        return self._table("outbox")

    def connectors(self) -> dict[str, Any]:
        """The tables of connectors.toml, one a connector; none when there is no such file."""
        try:
            return read_tables(self.path / "connectors.toml")
        except FileNotFoundError:
            return {}

    def secret(self, name: str) -> bytes:
        """A secret that somebody put into keys/; UnsafeKeyFile when it is not there, or open to others."""
        if Path(name).name != name:
            raise UnsafeKeyFile(self.keys / name, "is not directly in keys/; give its name alone")
        return read_secret(self.keys / name)

    def signals_table(self) -> dict[str, Any]:
        return self._table("signals")

    def console_table(self) -> dict[str, Any]:
        return self._table("console")


def _check_place(path: Path) -> None:
    """NotOurs unless the directory is new, or empty but for what we made before we were interrupted and what an operator may lay out beforehand."""
    if path.is_dir() and (strange := sorted(entry.name for entry in path.iterdir() if entry.name not in _EXPECTED)):
        raise NotOurs(path, strange)


def _write_settings(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    keys = path / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    for name in BUILT_IN_AGENTS:
        make_key(keys / "agents" / f"{name}.key")
    make_store_secrets(keys)
    make_secret(keys / "console.secret")
    BrokerUsers(keys).ensure(BUILT_IN_AGENTS)
    log = {
        "deployment": f"tallystick-{secrets.token_hex(4)}",
        "operator_keys": [make_key(keys / "operator.key").hex()],
        "sealer_keys": [make_key(keys / "sealer.key").hex()],
    }
    # As the environment has it, where that says it: the file would otherwise name a number that no topic was made with.
    shards = build(LogSettings, "log", {**log, **tables.get("log", {})}, os.environ).shards
    whole = {**{name: dict(table) for name, table in tables.items()}, "log": {**log, **tables.get("log", {}), "shards": shards}}
    for folder in _FOLDERS:
        (path / folder).mkdir(mode=0o700, exist_ok=True)
    # Last, since its being there says that the rest is.
    text = tomli_w.dumps(whole).replace("\nshards = ", f"\n{_SHARDS_NOTE}\nshards = ")
    replace_secret(path / "tallystick.toml", text.encode())
