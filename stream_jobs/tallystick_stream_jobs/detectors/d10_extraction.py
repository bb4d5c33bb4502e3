"""D10: a model asked so often, and so differently each time, that it can be rebuilt from its answers."""

from collections.abc import Mapping
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .facts import DAY_S, PANES_HOUR, Fact, number_of
from .sketches import gather, gathered, sketch_count

_HOUR: Final = PANES_HOUR
_FACT_PANES: Final = 4 * PANES_HOUR
_BLOCKS: Final = 6
_MODELS: Final = 8
_AGAIN_S: Final = 3600
META: Final = Meta(
    id="D10",
    title="Model extraction through inference",
    techniques=("AML.T0024",),
    severity="high",
    most="step-up",
    blind_spots="Several principals who share the queries out; doors that give no prompt hash (then only the number of calls speaks); "
    "prompts that differ in a blank are different.",
    parameters={
        "hour": Parameter(500, "calls of one model in 60 min", "default"),
        "day": Parameter(10_000, "calls of one model in 24 h", "default"),
        "distinct": Parameter(0.9, "of the day's prompts are distinct", "default", least=0, most=1),
    },
)


class Extraction:
    """Per model: calls in panes of five minutes, and calls and a sketch of prompts in blocks of four hours."""

    alone: Final = True
    actions: Final = frozenset({"model.infer"})

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._hour, self._day, self._distinct = values["hour"], values["day"], values["distinct"]

    def observe(self, state: State, fact: Fact) -> Finding | None:
        if fact.outcome != "allowed":
            return None
        models: dict[str, State] | None = state.get("m")
        if models is None:
            models = state["m"] = {}
        resource = fact.resource
        name = f"{resource.id}@{resource.version or ''}"
        model = models.get(name)
        if model is None:
            model = _begin(models, name)
        pane, block = fact.pane, fact.pane // _FACT_PANES
        panes: dict[int, int] = model["p"]
        blocks: dict[int, int] = model["b"]
        sketches: dict[int, list[Any]] = model["h"]
        _count(panes, pane, _HOUR + 3)
        if _count(blocks, block, _BLOCKS + 1):
            for old in [one for one in sketches if one not in blocks]:
                del sketches[old]
        usage = fact.event.usage
        prompt = usage.prompt_hash if usage else None
        if prompt and block in blocks:
            held = sketches.get(block)
            if held is None:
                held = sketches[block] = [b"", []]
            gather(held, number_of(prompt))
        credential = one_credential(model, fact.credential, fact.time, DAY_S)
        # What is kept bounds every window that it holds: most calls are far below both lines, and no window is summed up for them.
        if _calls(panes) < self._hour and _calls(blocks) < self._day:
            return None
        return self._judge(model, fact, pane, block, credential)

    def _judge(self, model: State, fact: Fact, pane: int, block: int, credential: str | None) -> Finding | None:
        who, what = fact.event.actor.principal, fact.event.resource.id
        day, end = _most(model["b"], block, _BLOCKS)
        if day >= self._day and fact.time - model.get("day", -DAY_S) >= DAY_S:
            sketches = [gathered(held) for one, held in model["h"].items() if end - _BLOCKS < one <= end]
            distinct = min(1.0, sketch_count(sketches) / day) if sketches else None
            if distinct is None or distinct >= self._distinct:
                model["day"] = model["hour"] = fact.time
                text = f"{who} asked {what} {day} times within 24 hours, {(distinct or 0) * 100:.0f} % of it different."
                figures = {"calls_24h": day, "distinct_share": distinct or 0}
                missing = [] if distinct is not None else ["prompt hashes"]
                return make_finding(
                    self.meta,
                    fact,
                    value=day,
                    threshold=self._day,
                    window_s=DAY_S,
                    evidence=[fact.place],
                    act="step-up",
                    text=text,
                    credential=credential,
                    features=figures,
                    missing=missing,
                )
        hour, _ = _most(model["p"], pane, _HOUR)
        if hour < self._hour or fact.time - model.get("hour", -_AGAIN_S) < _AGAIN_S:
            return None
        model["hour"] = fact.time
        text = f"{who} asked {what} {hour} times within an hour; {self._hour:.0f} is the line."
        return make_finding(
            self.meta,
            fact,
            value=hour,
            threshold=self._hour,
            window_s=3600,
            evidence=[fact.place],
            act="alert",
            text=text,
            credential=credential,
            features={"calls_1h": hour, "calls_24h": day},
        )


def _begin(models: dict[str, State], name: str) -> State:
    if len(models) >= _MODELS:
        del models[min(models, key=lambda one: (sum(models[one]["b"].values()), one))]
    model: State = {"p": {}, "b": {}, "h": {}}
    models[name] = model
    return model


def _calls(panes: dict[int, int]) -> int:
    calls = 0
    for count in panes.values():
        calls += count
    return calls


def _count(panes: dict[int, int], pane: int, kept: int) -> bool:
    """Whether a pane was begun; a pane that is past all lateness is not."""
    count = panes.get(pane)
    if count is not None:
        panes[pane] = count + 1
        return False
    if panes and pane <= max(panes) - kept:
        return False
    panes[pane] = 1
    oldest = max(panes) - kept
    for old in [one for one in panes if one <= oldest]:
        del panes[old]
    return True


def _most(panes: dict[int, int], pane: int, window: int) -> tuple[int, int]:
    """(calls, last pane) of the fullest window that holds the pane."""
    newest = max(panes, default=pane)
    return max(
        (sum(count for one, count in panes.items() if end - window < one <= end), end)
        for end in range(pane, max(pane, min(newest, pane + window - 1)) + 1)
    )
