"""D01: many distinct objects in an hour. On real downloads (EDGAR), distinct objects told harvesters best; bytes and z-scores far worse."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding, one_credential
from .facts import Fact, object_key

WINDOW_S: Final = 3600
PANE_S: Final = 300
_AGAIN_S: Final = 3600
_MAX_OBJECTS: Final = 256
"""Above the highest threshold the exact number no longer matters: the value saturates here, and so does the state."""

META: Final = Meta(
    id="D01",
    title="Bulk pull of distinct objects",
    techniques=("T1530", "AML.T0035"),
    severity="medium",
    most="step-up",
    blind_spots="Slower than one object in two minutes stays below it (D04); one huge object counts once (D02).",
    parameters={
        "alert": Parameter(25, "distinct objects in 60 min", "DETECTORS.md, measured on EDGAR"),
        "step_up": Parameter(40, "distinct objects in 60 min", "DETECTORS.md, measured on EDGAR"),
    },
)


class BulkObjects:
    """Panes of 5 minutes: an object counts in the pane in which it was seen last; its evidence is where it was seen first."""

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        key = object_key(fact.event)
        if key is None:
            return None
        touched: dict[str, list[int]] = state.setdefault("touched", {})
        pane = int(fact.time // PANE_S)
        credential = one_credential(state, fact.event.actor.credential or "", fact.time, WINDOW_S)
        known = touched.get(key)
        if known is not None:
            known[0] = max(pane, known[0])
            return None
        touched[key] = [pane, *fact.place]
        if len(touched) < self.meta.parameters["alert"].value:
            return None
        oldest = max(seen[0] for seen in touched.values()) - WINDOW_S // PANE_S
        for old in [name for name, seen in touched.items() if seen[0] <= oldest]:
            del touched[old]
        if len(touched) > _MAX_OBJECTS:
            del touched[min(touched, key=lambda name: (touched[name][0], name))]
        return self._judge(state, fact, touched, credential)

    def _judge(self, state: State, fact: Fact, touched: dict[str, list[int]], credential: str | None) -> Finding | None:
        value = len(touched)
        for name in ("step_up", "alert"):
            threshold = self.meta.parameters[name].value
            if value < threshold:
                continue
            if fact.time - state.get(name, -_AGAIN_S) < _AGAIN_S:
                return None  # told already: an open finding is not told again for an hour
            state[name] = state["alert"] = fact.time
            return make_finding(
                self.meta,
                fact,
                value=value,
                threshold=threshold,
                window_s=WINDOW_S,
                evidence=[(shard, index, pos) for _, shard, index, pos in touched.values()],
                act="step-up" if name == "step_up" else "alert",
                deterministic=False,
                text=f"{fact.event.actor.principal} touched {value} distinct objects within an hour; {threshold:.0f} is the line.",
                credential=credential,
            )
        return None
