"""D13: somebody read a decoy. Nobody has a reason to, so once is enough."""

from typing import Final

from tallystick_schemas.messages import Finding

from .base import Meta, State, make_finding
from .facts import Fact, object_key

_AGAIN_S: Final = 3600


class Canary:
    """The door marks decoys in attrs `canary`."""

    meta = Meta(
        id="D13",
        title="A canary artifact was read",
        techniques=("T1530",),
        severity="critical",
        most="suspend",
        blind_spots="A thief who knows which artifacts are decoys.",
    )

    def observe(self, state: State, fact: Fact) -> Finding | None:
        event = fact.event
        if event.attrs.get("canary") != "true" or object_key(event) is None:
            return None
        if fact.time - state.get("told", -_AGAIN_S) < _AGAIN_S:
            return None
        state["told"] = fact.time
        return make_finding(
            self.meta,
            fact,
            value=1,
            threshold=1,
            window_s=0,
            evidence=[fact.place],
            act="suspend",
            deterministic=True,
            text=f"{event.actor.principal} read the decoy {event.resource.part or event.resource.id}.",
            credential=event.actor.credential or None,
        )
