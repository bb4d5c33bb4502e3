"""A shard's state as the notary keeps it in the store: signed, so that who may write the table cannot give the fold another past."""

from collections.abc import Callable, Mapping
from typing import Final

from kafka.errors import KafkaError

from tallystick_schemas.envelope import Number, Opener, Signer, parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.roles import Role
from tallystick_schemas.state import State, encode_state, parse_state

PLACE: Final = "notary_snapshots"
SNAPSHOT_SIGNERS: Final[Mapping[str, tuple[Role, ...]]] = {PLACE: ("notary",)}


class Snapshots:
    """Of one notary. `others`: an opener with `SNAPSHOT_SIGNERS` that knows who is a notary besides us; asked for what we did not sign."""

    def __init__(self, signer: Signer, others: Callable[[], Opener]) -> None:
        self._signer, self._others = signer, others

    def sign(self, state: State) -> bytes:
        """The row's bytes: every field of the state is signed, and which shard of which deployment it is of."""
        return self._signer.sign(PLACE, _key(state.shard), Number(0, state.index), encode_state(state))

    def open(self, shard: int, raw: bytes) -> State:
        """The state that a notary signed for this shard; ParseError for anything else."""
        return parse_state(self._body(_key(shard), raw))

    def _body(self, key: bytes, raw: bytes) -> bytes:
        claim = parse_claim(raw)
        if (claim.agent, claim.key) == (self._signer.agent, self._signer.key):
            return self._signer.own(PLACE, key, raw).body
        try:
            return self._others().open(PLACE, key, raw).body
        except KafkaError as error:
            raise ParseError(f"who else is a notary cannot be read ({error})") from error


def _key(shard: int) -> bytes:
    return str(shard).encode()
