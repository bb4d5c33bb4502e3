"""State of an earlier version, read on once and only because an operator said so in the history (directive `adopt`, subject `detectors`)."""

from typing import Final, Protocol

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.roles import Keyring

PART: Final = "detectors"


class AdoptionPort(Protocol):
    """Whether unsigned state may be read, and that it was."""

    def allowed(self, partition: int) -> int | None:
        """The number of the directive by which a partition may still be adopted; None when there is none, or when it was used."""
        ...

    def done(self, partition: int, number: int) -> None:
        """Blocking: never again under this directive."""
        ...


class Adoption:
    """Used directives stand in the agent's spool, in one transaction with the event that says so."""

    def __init__(self, keyring: Keyring, recorder: Recorder) -> None:
        self._keyring, self._recorder = keyring, recorder

    def allowed(self, partition: int) -> int | None:
        number = self._keyring.adopts(PART)
        used = self._recorder.place(_source(partition))
        return None if number is None or (used is not None and int(used) >= number) else number

    def done(self, partition: int, number: int) -> None:
        event = {
            "action": "policy.update",
            "actor": Actor(PART, "service"),
            "resource": Resource("detector-state", str(partition)),
            "why": Why(text=f"State of an earlier version was read on once, as the operator's directive {number} allows."),
        }
        self._recorder.record_batch_at(_source(partition), str(number), [event])


def _source(partition: int) -> str:
    return f"adopted/{partition}"
