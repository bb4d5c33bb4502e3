"""Keys, roles and envelopes for tests: one operator gives every part its role, and each part signs with a key of its own name."""

from collections.abc import Iterable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.directives import AGENT
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.envelope import Number, Numbers, Opener, Signer
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import ROLE_KEY
from tallystick_schemas.roles import Keyring, Mandate, Role, Scope, subject_of, value_of
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_stream_jobs.notary.snapshots import SNAPSHOT_SIGNERS, Snapshots
from tallystick_stream_jobs.shell.voice import Voice

DEPLOYMENT = "test"
ANYTHING = Scope()
PARTS: dict[str, tuple[Role, ...]] = {
    "notary": ("notary",),
    "detectors": ("detectors",),
    "responder": ("responder",),
    "outbox": ("outbox",),
    "gateway": ("point",),
    "console": ("commander",),
    "cli": ("commander",),
    "signals": ("commander",),
}


def key_of(name: str) -> Ed25519PrivateKey:
    """The same private key for a name in every run."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"test key of {name}".encode()).digest())


def public_of(name: str) -> bytes:
    return key_of(name).public_key().public_bytes_raw()


OPERATOR = key_of("operator")
OPERATORS = (public_of("operator"),)


def directive(
    agent: str,
    roles: Iterable[Role] = (),
    *,
    n: int = 1,
    revoked: bool = False,
    scope: Scope | None = ANYTHING,
    key: str = "",
    operator: Ed25519PrivateKey = OPERATOR,
) -> bytes:
    """The signed record that gives `agent` its roles; `key`: the name of the key when it is not the agent's."""
    public = public_of(key or agent)
    mandate = Mandate(to_base64(public), list(roles) or list(PARTS[agent]), "revoked" if revoked else "active", scope)
    by = key_id(operator.public_key().public_bytes_raw())
    header = Directive(1, by, wire_time(1_795_406_400.0), AGENT, subject_of(agent, key_id(public)), n, value_of(mandate))
    return sign_record(header, operator)


def role_key(agent: str, key: str = "") -> bytes:
    """The Kafka key of its directive on `locks`."""
    return ROLE_KEY + f"{agent}/{key_id(public_of(key or agent))}".encode()


def keyring(*agents: str) -> Keyring:
    """The operator's keyring with these parts; all of them by default."""
    ring = Keyring.of(OPERATORS)
    for agent in agents or PARTS:
        ring.take(directive(agent))
    return ring


def opener(*agents: str, deployment: str = DEPLOYMENT) -> Opener:
    return Opener(deployment, keyring(*agents))


class Speaker:
    """One part as it speaks: signs with its own key, under numbers that rise."""

    def __init__(self, agent: str, fence: int = 1, deployment: str = DEPLOYMENT, key: str = "") -> None:
        self.signer = Signer(deployment, agent, key_of(key or agent))
        self.numbers = Numbers(fence)

    def voice(self) -> Voice:
        """The same as a process of its own has it, with numbers of its own."""
        return Voice(self.signer, self.numbers.fence)

    def says(self, topic: str, key: bytes | None, body: bytes, number: Number | None = None) -> bytes:
        """The value to put under `key` of `topic`."""
        return self.signer.sign(topic, key, number or self.numbers.next(), body)


def snapshots(notary: str = "notary") -> Snapshots:
    """A notary's, who knows the other parts."""
    return Snapshots(Speaker(notary).signer, lambda: Opener(DEPLOYMENT, keyring(), SNAPSHOT_SIGNERS))


SNAPSHOTS = snapshots()
