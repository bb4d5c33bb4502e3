"""D03: nearly all parts of one model, by somebody who neither deploys nor trains it."""

from collections.abc import Mapping
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding, one_credential
from .facts import OBJECT_ACTIONS, Fact

WINDOW_S: Final = 86_400
_MAX_MODELS: Final = 16
_MAX_PARTS: Final = 4096
_EXEMPT_ROLES: Final = frozenset({"deploy", "train"})

META: Final = Meta(
    id="D03",
    title="Pull of a whole model",
    techniques=("AML.T0044", "T1530"),
    severity="high",
    most="suspend",
    blind_spots="Several principals who share the parts out (D14); a model of fewer parts than the minimum.",
    parameters={
        "coverage": Parameter(0.9, "share of the parts in 24 h", "DETECTORS.md", least=0.1, most=1),
        "min_parts": Parameter(8, "parts", "below this an ordinary load of a small model is the whole model"),
    },
)


class WholeModel:
    """Coverage a principal and model version; the number of parts is what the door says, in attrs `parts`."""

    actions: Final = OBJECT_ACTIONS

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        event = fact.event
        total = (event.attrs or {}).get("parts", "")
        if not total.isascii() or not total.isdigit() or len(total) > 6 or not event.resource.part or fact.object is None:
            return None
        if int(total) < self.meta.parameters["min_parts"].value or _EXEMPT_ROLES.intersection(event.actor.roles or ()):
            return None
        models: dict[str, State] = state.setdefault("models", {})
        name = f"{event.resource.id}@{event.resource.version or ''}"
        model = models.get(name)
        if model is None:
            if len(models) >= _MAX_MODELS:
                # Not the one that was silent longest: whoever takes turns among many models would hide them all.
                del models[min(models, key=lambda one: (fact.time - models[one]["at"] <= WINDOW_S, len(models[one]["parts"]), one))]
            model = models[name] = {"parts": {}, "at": fact.time, "told": 0.0}
        return self._cover(model, fact, int(total))

    def _cover(self, model: State, fact: Fact, total: int) -> Finding | None:
        parts: dict[str, list[Any]] = model["parts"]
        credential = one_credential(model, fact.event.actor.credential or "", fact.time, WINDOW_S)
        part = fact.event.resource.part or ""
        model["at"] = max(model["at"], fact.time)
        if part not in parts and len(parts) >= _MAX_PARTS:
            _forget(model)
            if len(parts) >= _MAX_PARTS:
                return None
        if part not in parts or parts[part][0] < fact.time:
            # A part that is read again counts from now on; last in the evidence, too.
            parts.pop(part, None)
            parts[part] = [fact.time, *fact.place]
        line = self.meta.parameters["coverage"].value
        if len(parts) / total < line or fact.time - model["told"] < WINDOW_S:
            return None
        _forget(model)
        share = len(parts) / total
        if share < line:
            return None
        model["told"] = fact.time
        restricted = fact.event.resource.sensitivity == "restricted"
        return make_finding(
            self.meta,
            fact,
            value=round(share, 4),
            threshold=line,
            window_s=WINDOW_S,
            evidence=[(shard, index, pos) for _, shard, index, pos in parts.values()],
            act="suspend" if restricted else "alert",
            deterministic=False,
            text=f"{fact.event.actor.principal} asked for {len(parts)} of the {total} parts of {fact.event.resource.id} within 24 hours "
            "and has neither a deploy nor a train role.",
            credential=credential,
            severity="critical" if restricted else "high",
        )


def _forget(model: State) -> None:
    """Parts that nobody touched for a day."""
    parts: dict[str, list[Any]] = model["parts"]
    for old in [name for name, seen in parts.items() if model["at"] - seen[0] > WINDOW_S]:
        del parts[old]
