"""Settings of a deployment: one frozen dataclass a process, validated with every mistake named at once.

Pure: the shell reads the file and the environment and hands both in. `TALLYSTICK_<SECTION>_<FIELD>` goes over the file.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from .errors import SettingsError

PREFIX: Final = "TALLYSTICK"


@dataclass(frozen=True)
class KafkaSettings:
    """Where Kafka is, and how to speak to it. Plain text is for loopback alone.

    The password may stand in a file of its own (mode 0600), which the shell reads before it connects.
    """

    bootstrap: str = "127.0.0.1:47092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    sasl_password_file: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    """With `ssl_keyfile`: who we are, where the broker asks for a certificate."""
    ssl_keyfile: str | None = None

    def client_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for a kafka-python client. SettingsError when the password's file was not read."""
        if self.sasl_password_file is not None and self.sasl_password is None:
            raise SettingsError([f"the password of {self.sasl_username} at Kafka stands in {self.sasl_password_file}, which was not read"])
        kwargs: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.security_protocol,
            # By default a client that found nobody a few times knocks each half minute: so long a gateway would deny after Kafka is back.
            "reconnect_backoff_max_ms": 1_000,
        }
        if self.sasl_mechanism:
            kwargs |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        files = {"ssl_cafile": self.ssl_cafile, "ssl_certfile": self.ssl_certfile, "ssl_keyfile": self.ssl_keyfile}
        return kwargs | {name: path for name, path in files.items() if path}


@dataclass(frozen=True)
class ClickHouseSettings:
    """Where ClickHouse's HTTP interface is."""

    host: str = "127.0.0.1"
    port: int = 47123
    username: str = "tallystick"
    password: str = ""
    database: str = "tallystick"
    secure: bool = False
    ca_cert: str = ""
    """A file with the certificate that the server's must come from, or be; empty: those that this machine trusts."""

    def client_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for `clickhouse_connect.get_client`."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "database": self.database,
            "secure": self.secure,
            "verify": True,
            "ca_cert": self.ca_cert or None,
            # One client is used by several threads, and sessions would make them wait for each other.
            "autogenerate_session_id": False,
        }


@dataclass(frozen=True)
class LogSettings:
    """What everybody must agree on to read one history: its name, its shards, and the keys it trusts (raw Ed25519 public keys)."""

    deployment: str
    shards: int = 4
    operator_keys: tuple[bytes, ...] = ()
    sealer_keys: tuple[bytes, ...] = ()
    sealer_ends: tuple[str, ...] = ()
    """`<key id> <size>`: a sealer's key, and the size of the last root checkpoint that it is believed for. Of others there is no end."""
    seal_interval_s: float = 2.0
    command_agents: tuple[str, ...] = ("console", "cli")
    """Agents whose closing of a finding counts. Whose orders count is a matter of the role `commander`."""

    def origin(self, shard: int) -> str:
        """The name of a shard's log."""
        return f"{self.deployment}/shard/{shard}"

    @property
    def root_origin(self) -> str:
        """The name of the log over all shards."""
        return f"{self.deployment}/root"


@dataclass(frozen=True)
class AgentSettings:
    """One agent that records: its name, its key, its spool."""

    agent: str
    kafka: KafkaSettings
    log: LogSettings
    key_file: str
    spool_dir: str
    linger_ms: int = 20
    send_after_ms: int = 0
    """How long what is on disk waits before it is sent, in a process whose other work goes first."""
    spool_max_bytes: int = 1 << 30
    when_full: Literal["block", "raise"] = "block"
    heartbeat_s: float = 30.0
    resend_s: float = 10.0
    lock_stale_s: float = 30.0
    """After so long without a word of the responder, `is_locked` says yes to everybody."""


@dataclass(frozen=True)
class GatewaySettings:
    """The door to a folder of artifacts."""

    root: str
    tokens_file: str
    host: str = "127.0.0.1"
    port: int = 47080
    lock_stale_s: float = 30.0
    fail_open: bool = False
    collection: str = "models"
    public_url: str = ""
    """Where others reach it, for probes and links; empty: host and port for probes, the address that a request came to for links."""


@dataclass(frozen=True)
class JobSettings:
    """What notary, detectors and responder share."""

    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    log: LogSettings
    state_dir: str
    lock_minutes: float = 60.0
    """How long an automatic lock lasts unless a person confirms it."""
    breaker_limit: int = 3
    """Automatic suspensions within ten minutes; after that, people decide."""
    protected: tuple[str, ...] = ()
    """Principals that are never suspended automatically, beside those of detection.yaml."""
    two_people_minutes: float = 30.0
    """How long an order that needs two people waits for the second."""
    policy_file: str = ""
    """detection.yaml; empty: the defaults are in force."""
    instance: str = ""
    """A name that this process keeps over restarts: its partitions wait for it, instead of for the end of its session (KIP-345)."""


T = TypeVar("T")


def build(
    kind: type[T],
    section: str,
    table: Mapping[str, Any],
    env: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
) -> T:
    """A settings dataclass from its TOML table and the environment; `given` are fields that the shell made (other settings, keys).

    SettingsError names every unknown, missing and ill-typed field.
    """
    given = dict(given or {})
    hints, mistakes = get_type_hints(kind), []
    names = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]  # T is always one of the dataclasses above
    known = sorted(set(names) - set(given))
    mistakes += [f"[{section}] has no setting {key!r}; it knows {', '.join(known)}" for key in table if key not in known]
    values = dict(given)
    for name, spec in names.items():
        variable = f"{PREFIX}_{section}_{name}".upper()
        if name in given:
            continue
        if variable in env:
            _put(values, mistakes, name, variable, env[variable], hints[name])
        elif name in table:
            _put(values, mistakes, name, f"[{section}] {name}", table[name], hints[name])
        elif spec.default is MISSING and spec.default_factory is MISSING:
            mistakes.append(f"[{section}] {name} is missing (or set {variable})")
    if mistakes:
        raise SettingsError(mistakes)
    return kind(**values)


def _put(values: dict[str, Any], mistakes: list[str], name: str, place: str, raw: Any, hint: Any) -> None:
    try:
        values[name] = _coerce(raw, hint)
    except (ValueError, TypeError, KeyError):
        mistakes.append(f"{place} is {raw!r}, which is not {_wanted(hint)}")


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    return getattr(hint, "__name__", str(hint))


def _coerce(raw: Any, hint: Any) -> Any:
    """`raw` (a TOML value, or text from the environment) as the hinted type; ValueError when it is not."""
    options = get_args(hint)
    if get_origin(hint) is Literal:
        if raw not in options:
            raise ValueError
        return raw
    if type(None) in options:
        return _coerce(raw, next(o for o in options if o is not type(None)))
    if get_origin(hint) is tuple:
        items = [part.strip() for part in raw.split(",") if part.strip()] if isinstance(raw, str) else list(raw)
        return tuple(_coerce(item, options[0]) for item in items)
    if hint is bool:
        return raw if isinstance(raw, bool) else {"true": True, "1": True, "false": False, "0": False}[str(raw).lower()]
    if hint is bytes:
        return bytes.fromhex(raw)
    if hint in (int, float):
        if isinstance(raw, bool):
            raise ValueError
        return hint(raw)
    if not isinstance(raw, str):
        raise TypeError
    return raw
