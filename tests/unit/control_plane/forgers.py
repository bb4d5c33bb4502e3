"""Who speaks without the right to: every forger that a reader of signed messages must turn away."""

from dataclasses import dataclass

from tests.support.signing import DEPLOYMENT, Speaker, key_of, public_of

from tallystick_schemas.envelope import Number, Signer
from tallystick_schemas.keys import key_id

FENCE = 99
"""Above every owner's, so that no number refuses a forger."""


@dataclass(frozen=True)
class Pretender(Signer):
    """Signs with its own key, and names another's."""

    named: str = ""

    @property
    def key(self) -> str:
        return self.named


def pretender(agent: str) -> Speaker:
    """A stranger who gives the name and the key id of an agent that has its role."""
    speaker = Speaker(agent, FENCE)
    speaker.signer = Pretender(DEPLOYMENT, agent, key_of("mallory"), key_id(public_of(agent)))
    return speaker


class Swapper(Speaker):
    """Puts its words under the head and signature of a true message, which has a body of the same size."""

    def says(self, topic: str, key: bytes | None, body: bytes, number: Number | None = None) -> bytes:
        true = super().says(topic, key, bytes(len(body)), number)
        return true[: len(true) - len(body)] + body


def forgers(role: str) -> list[Speaker]:
    """Another role's; nobody's; the role's name with a key that no operator enrolled; its name and key id over somebody else's signature; other words."""
    other = "notary" if role != "notary" else "gateway"
    return [Speaker(other, FENCE), Speaker("mallory", FENCE), Speaker(role, FENCE, key="mallory"), pretender(role), Swapper(role, FENCE)]


def foreigner(role: str) -> Speaker:
    """The same role in another deployment, with the same key."""
    return Speaker(role, FENCE, deployment="other")
