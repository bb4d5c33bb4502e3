"""What an owner says: envelopes under the numbers of its fence."""

from tallystick_schemas.envelope import Numbers, Signer


class Voice:
    """Signs for one process. Numbers are given in the order of the calls, so a message must be sent before the next one is signed."""

    def __init__(self, signer: Signer, fence: int) -> None:
        self._signer = signer
        self.renew(fence)

    def renew(self, fence: int) -> None:
        """From here on under another fence, counted from 0."""
        self.fence = fence
        self._numbers = Numbers(fence)
        self._counted: dict[tuple[str, int], Numbers] = {}

    def says(self, topic: str, key: bytes | None, body: bytes, *, counted_in: int | None = None) -> bytes:
        """The value to send. `counted_in`: the partition in which the messages are counted by themselves, without a gap."""
        numbers = self._numbers if counted_in is None else self._counted.setdefault((topic, counted_in), Numbers(self.fence))
        return self._signer.sign(topic, key, numbers.next(), body)
