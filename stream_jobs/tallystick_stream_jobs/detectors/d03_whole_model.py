"""D03: nearly all parts of one model, by somebody who neither deploys nor trains it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .facts import Fact, touches

WINDOW_S: Final = 86_400
_MAX_MODELS: Final = 16
_MAX_PARTS: Final = 4096
_EACH: Final = 64
"""How often the parts of all models together are counted; the model with the least coverage goes when they are too many."""
_EXEMPT_ROLES: Final = frozenset({"deploy", "train"})
_counts: Final[dict[str, int]] = {}
_MOST_COUNTS: Final = 1000

META: Final = Meta(
    id="D03",
    title="Pull of a whole model",
    techniques=("AML.T0044", "T1530"),
    severity="high",
    most="suspend",
    blind_spots="Several principals who share the parts out (D14); a model of fewer parts than the minimum.",
    parameters={
        "coverage": Parameter(0.9, "share of the parts in 24 h", "default", least=0.1, most=1),
        "min_parts": Parameter(8, "parts", "below this an ordinary load of a small model is the whole model"),
    },
)


class WholeModel:
    """Coverage a principal and model version; the number of parts is what the door says, in attrs `parts`."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        self._line, self._least = self.meta.parameters["coverage"].value, self.meta.parameters["min_parts"].value

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        attrs, part = fact.attrs, fact.object
        text = attrs.get("parts") if attrs else None
        if text is None or part is None:
            return None
        total, resource = _count(text), fact.resource
        if total < self._least or not resource.part or _exempt(fact.event.actor.roles):
            return None
        models: dict[str, State] | None = state.get("models")
        if models is None:
            models = state["models"] = {}
        name = f"{resource.id}@{resource.version or ''}"
        model = models.get(name)
        if model is None:
            if models:
                _make_room(models, fact.time)
            model = models[name] = {"parts": {}, "at": fact.time, "told": 0.0}
        parts: dict[Any, Sequence[Any]] = model["parts"]
        if len(parts) % _EACH == _EACH - 1:
            _fit(models, name)
        return self._cover(model, parts, fact, part, total)

    def _cover(self, model: State, parts: dict[Any, Sequence[Any]], fact: Fact, part: Any, total: int) -> Finding | None:
        """`part` is a number that stays an object."""
        time = fact.time
        second = int(time)
        credential = one_credential(model, fact.credential, time, WINDOW_S)
        at: float = model["at"]
        if time > at:
            model["at"] = time
        known = parts.get(part)
        if known is None:
            if len(parts) >= _MAX_PARTS:
                _forget(model)
                if len(parts) >= _MAX_PARTS:
                    return None
            place = fact.place
            parts[part] = (second, place[0], place[1], place[2])
        elif known[0] < second:
            # A part that is read again counts from now on; last in the evidence, too.
            del parts[part]
            place = fact.place
            parts[part] = (second, place[0], place[1], place[2])
        if len(parts) < self._line * total or time - model["told"] < WINDOW_S:
            return None
        _forget(model)
        share = len(parts) / total
        if share < self._line:
            return None
        model["told"] = time
        restricted = fact.event.resource.sensitivity == "restricted"
        return make_finding(
            self.meta,
            fact,
            value=round(share, 4),
            threshold=self._line,
            window_s=WINDOW_S,
            evidence=[(shard, index, pos) for _, shard, index, pos in parts.values()],
            act="suspend" if restricted else "alert",
            text=f"{fact.event.actor.principal} asked for {len(parts)} of the {total} parts of {fact.event.resource.id} within 24 hours "
            "and has neither a deploy nor a train role.",
            credential=credential,
            severity="critical" if restricted else "high",
            features={"parts_read": len(parts), "parts": total, "share": share},
        )


def _count(text: str) -> int:
    """The number of parts that a door says; 0 when it says none."""
    known = _counts.get(text)
    if known is None:
        if len(_counts) >= _MOST_COUNTS:
            _counts.clear()
        known = _counts[text] = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    return known


def _exempt(roles: list[str] | None) -> bool:
    return roles is not None and any(role in _EXEMPT_ROLES for role in roles)


def _fit(models: dict[str, State], name: str) -> None:
    """All models' parts together have a bound; the other one with the least coverage goes."""
    if sum(len(one["parts"]) for one in models.values()) > _MAX_PARTS:
        del models[min((one for one in models if one != name), key=lambda one: (len(models[one]["parts"]), one), default=name)]


def _make_room(models: dict[str, State], time: float) -> None:
    """Models that nobody touched for a day, and when there are too many others, the ones with the least coverage."""
    for old in [name for name, model in models.items() if time - model["at"] > WINDOW_S]:
        del models[old]
    while len(models) >= _MAX_MODELS:
        # Not the one that was silent longest: whoever takes turns among many models would hide them all.
        del models[min(models, key=lambda one: (len(models[one]["parts"]), one))]


def _forget(model: State) -> None:
    """Parts that nobody touched for a day."""
    parts: dict[Any, Sequence[Any]] = model["parts"]
    for old in [name for name, seen in parts.items() if model["at"] - seen[0] > WINDOW_S]:
        del parts[old]
