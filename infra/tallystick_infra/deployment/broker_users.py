"""Who may speak to the embedded broker, as files: a password for each of our processes and for each agent that was admitted here.

The files are the truth: at each start the broker's users become what they say. Taking a password's file away takes its user away.
"""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from tallystick_schemas.access import AGENT, PARTS, POINT, agent_user
from tallystick_schemas.settings import KafkaSettings

from .keyfiles import file_name, make_secret, random_secret, read_secret, replace_secret

MECHANISM: Final = "SCRAM-SHA-512"
_SECRET: Final = ".password"  # noqa: S105 - the end of a file name
_POINT: Final = ".point"
_KEY: Final = ".key"


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files in a folder: the authority's certificate; key and certificate of the broker, and of whoever makes users and rules."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def broker(self) -> Path:
        return self.folder / "broker.pem"

    @property
    def admin(self) -> Path:
        return self.folder / "admin.pem"

    def client(self, bootstrap: str) -> KafkaSettings:
        """The super user's settings."""
        own = str(self.admin)
        return KafkaSettings(bootstrap, security_protocol="SSL", ssl_cafile=str(self.authority), ssl_certfile=own, ssl_keyfile=own)


class BrokerUsers:
    """The files below a deployment's `keys`."""

    def __init__(self, keys: Path) -> None:
        self._parts, self._agents = keys / "kafka", keys / "agents"

    @property
    def certificates(self) -> CertificateFiles:
        """The broker's, made anew at each start."""
        return CertificateFiles(self._parts / "tls")

    def part(self, role: str) -> tuple[str, Path]:
        """(user, file of its password) of one of our processes."""
        return role, self._parts / f"{role}{_SECRET}"

    def agent(self, name: str) -> tuple[str, Path]:
        """(user, file of its password) of an agent: beside its key, which may be elsewhere."""
        stem = file_name(name)
        return agent_user(unquote(stem)), self._agents / f"{stem}{_SECRET}"

    def admit(self, name: str, *, point: bool, new_password: bool = False) -> tuple[str, Path]:
        """An agent's user, made when there is none; `point` lets it be an enforcement point from now on. What it was allowed stays."""
        user, path = self.agent(name)
        if new_password:
            replace_secret(path, random_secret())
        make_secret(path)
        if point:
            self._point(path).touch(mode=0o600)
        return user, path

    def forget(self, name: str) -> None:
        """An agent's user no longer."""
        _, path = self.agent(name)
        path.unlink(missing_ok=True)
        self._point(path).unlink(missing_ok=True)

    def ensure(self, built_in: Collection[str]) -> None:
        """A password for each of our processes. Where there is none at all, in a deployment of before there were users, for its agents too.

        `built_in` are the agents that are our processes.
        """
        if not any(self._parts.glob(f"*{_SECRET}")):
            for key in sorted(self._agents.glob(f"*{_KEY}")):
                name = key.name.removesuffix(_KEY)
                if name not in built_in:
                    make_secret(self._agents / f"{name}{_SECRET}")
        for row in PARTS:
            make_secret(self.part(row.role)[1])

    def every(self) -> Iterator[tuple[str, str, str]]:
        """(user, password, role in the table of access) of everybody."""
        for row in PARTS:
            user, path = self.part(row.role)
            yield user, read_secret(path).decode().strip(), row.role
        for path in sorted(self._agents.glob(f"*{_SECRET}")):
            yield from self._one(agent_user(unquote(path.name.removesuffix(_SECRET))), path)

    def one(self, name: str) -> tuple[str, str, str]:
        """(user, password, role in the table of access) of an agent."""
        user, path = self.agent(name)
        return next(self._one(user, path))

    def _one(self, user: str, path: Path) -> Iterator[tuple[str, str, str]]:
        yield user, read_secret(path).decode().strip(), POINT if self._point(path).exists() else AGENT

    @staticmethod
    def _point(password: Path) -> Path:
        return password.with_name(password.name.removesuffix(_SECRET) + _POINT)


def as_user(kafka: KafkaSettings, user: str, password: Path) -> KafkaSettings:
    """The embedded broker's settings for one of its users. A password that is not made yet is named, and missed by who connects."""
    kafka = dataclasses.replace(kafka, security_protocol="SASL_PLAINTEXT", sasl_mechanism=MECHANISM, sasl_username=user)
    if password.exists():
        return dataclasses.replace(kafka, sasl_password=read_secret(password).decode().strip(), sasl_password_file=None)
    return dataclasses.replace(kafka, sasl_password=None, sasl_password_file=str(password))
