"""Settings of the part `signals`: section [signals], a table [signals.receivers.<name>] for each who may listen, [signals.issuers.<name>] for each we hear."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tallystick_producers.public_url import check_public_url
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.names import same_principal
from tallystick_schemas.settings import AgentSettings, build

from .vocabulary import Profile

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "Ed25519")
"""What an issuer may be pinned to. Neither `none` nor anything with a shared secret is among them."""
AGENT: Final = "signals"


@dataclass(frozen=True)
class ReceiverSettings:
    """Somebody who may have streams: the name is the principal of the bearer token."""

    name: str
    aud: str = ""
    """Audience of its tokens; the name when empty."""
    profile: Profile = "ssf"
    allow_private: bool = False
    """Whether tokens may be pushed to loopback, private and link-local addresses, and by plain http."""

    @property
    def audience(self) -> str:
        return self.aud or self.name


@dataclass(frozen=True)
class IssuerSettings:
    """Somebody whose signals we hear, pinned."""

    name: str
    iss: str
    aud: str
    jwks_uri: str = ""
    jwks_file: str = ""
    """A key set on disk instead; exactly one of the two."""
    algorithms: tuple[str, ...] = ("RS256",)
    strict: bool = True
    """Refuse `sub` and `exp`, a type other than secevent+jwt and events without event_timestamp, as SSF and the interoperability profile say."""
    require_token: bool = False
    """Whether pushes must carry a bearer token whose principal is this table's name."""
    allow_private: bool = False
    poll_url: str = ""
    poll_token_file: str = ""
    lock: bool = False
    """Whether its signals lock here. The agent `signals` must be among [log] command_agents then."""
    lock_domains: tuple[str, ...] = ()
    """Whose principals it may lock: domains of e-mail addresses, or "*" for everybody."""
    lock_minutes: float = 60.0


@dataclass(frozen=True)
class SignalsSettings:
    """The process. Seconds, unless a name says something else."""

    agent: AgentSettings
    state_dir: str
    keys_file: str
    tokens_file: str
    receivers: tuple[ReceiverSettings, ...]
    issuers: tuple[IssuerSettings, ...]
    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = 47070
    public_url: str = ""
    """Our issuer name, and where others reach us, without a slash at the end; the loopback address when empty."""
    default_subjects: Literal["ALL", "NONE"] = "ALL"
    max_streams: int = 10
    """For each receiver."""
    max_pending: int = 10_000
    """Tokens that wait for one stream; a stream that has more is disabled, and says so."""
    max_subjects: int = 100_000
    min_verification_interval: int = 60
    jwks_max_age_s: int = 3_600
    key_lead_s: float = 86_400.0
    """A new key is shown for so long before it signs."""
    key_grace_s: float = 604_800.0
    """An old key is shown for so long after it signed last; what was not delivered in that time is signed anew anyway."""
    max_age_s: float = 604_800.0
    """Tokens issued longer ago are not taken; for so long a jti is remembered."""

    @property
    def issuer(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    def receiver(self, name: str) -> ReceiverSettings | None:
        """The table of a receiver."""
        return next((one for one in self.receivers if same_principal(one.name, name)), None)


def build_signals(table: Mapping[str, Any], env: Mapping[str, str], given: Mapping[str, Any]) -> SignalsSettings:
    """Settings from [signals]; `given`: agent and the paths. SettingsError names every mistake."""
    plain = dict(table)
    mistakes: list[str] = []
    receivers = _tables(ReceiverSettings, "receivers", plain.pop("receivers", {}), mistakes)
    issuers = _tables(IssuerSettings, "issuers", plain.pop("issuers", {}), mistakes)
    try:
        settings = build(SignalsSettings, "signals", plain, env, {**given, "receivers": receivers, "issuers": issuers})
    except SettingsError as error:
        raise SettingsError([*error.mistakes, *mistakes]) from error
    mistakes += _checked(settings)
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def _tables(kind: type[Any], section: str, tables: object, mistakes: list[str]) -> tuple[Any, ...]:
    if not isinstance(tables, Mapping):
        mistakes.append(f"[signals] {section} must be tables [signals.{section}.<name>]")
        return ()
    found = []
    for name, table in tables.items():
        try:
            found.append(build(kind, f"signals.{section}.{name}", table, {}, {"name": name}))
        except SettingsError as error:
            mistakes += error.mistakes
    return tuple(found)


def _checked(settings: SignalsSettings) -> list[str]:
    wrong: list[str] = []
    try:
        check_public_url("signals", settings.public_url)
    except SettingsError as error:
        wrong += error.mistakes
    if settings.public_url.endswith("/"):
        wrong.append("[signals] public_url is our issuer name, and must be written without a slash at its end")
    if settings.key_lead_s < settings.jwks_max_age_s:
        wrong.append("[signals] key_lead_s must not be shorter than jwks_max_age_s: receivers that cache would not know the key that signs")
    for issuer in settings.issuers:
        wrong += [f"[signals.issuers.{issuer.name}] {text}" for text in _wrong(issuer, settings.agent.log.command_agents)]
    return wrong


def _wrong(issuer: IssuerSettings, command_agents: tuple[str, ...]) -> list[str]:
    wrong = []
    if bool(issuer.jwks_uri) == bool(issuer.jwks_file):
        wrong.append("needs either jwks_uri or jwks_file")
    if not issuer.algorithms or set(issuer.algorithms) - set(ALGORITHMS):
        wrong.append(f"algorithms must be some of {', '.join(ALGORITHMS)}")
    if issuer.lock and not issuer.lock_domains:
        wrong.append('lock needs lock_domains, the e-mail domains that this issuer answers for ("*" for everybody)')
    if issuer.lock and AGENT not in command_agents:
        wrong.append(f'lock needs "{AGENT}" among [log] command_agents: its locks are orders, and go the way of people\'s orders')
    if issuer.lock_minutes <= 0:
        wrong.append("lock_minutes must be more than 0: every automatic lock has an end")
    return wrong
