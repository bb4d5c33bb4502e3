"""D12: telemetry that does not hold together. Its subject is an agent, never the people whose events it carries."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding, Place, Signal
from tallystick_schemas.names import canonical
from tallystick_schemas.verdicts import Verdict

from .base import Meta, Parameter, State, in_force
from .facts import LATENESS_S, Fact
from .signals import about_agent, tell

_BAD_WINDOW_S: Final = 600.0
_LONGEST_BEAT_S: Final = 600.0
META: Final = Meta(
    id="D12",
    title="Telemetry does not hold together",
    techniques=("T1562.008",),
    severity="medium",
    most="alert",
    blind_spots="An agent that was never enrolled is silent from the beginning; silence is measured by the clock of the agent's own shard, which stands still "
    "when every agent of it is silent (`tallystick doctor` sees that); one of several processes of an agent can fall silent behind the others.",
    parameters={
        "bad_signatures": Parameter(5, "in 10 min", "default", most=100),
        "heartbeat": Parameter(30, "s between heartbeats, at the least", "the recorder's default", least=5, most=3600),
        "silent_beats": Parameter(3, "heartbeats that fail to come", "default", least=2, most=100),
        "ahead": Parameter(
            60, "s that an agent's clock may be ahead of the broker's", "clocks kept by NTP differ by far less", least=1, most=600
        ),
        "behind": Parameter(
            3, "heartbeats in a row more than 10 min old", "one alone is a spool that was emptied after an outage", least=1, most=100
        ),
    },
    version=2,
)


class Telemetry:
    """Gaps and bad signatures by the notary's verdicts; clocks and silence by the agent's own heartbeats."""

    actions: Final = frozenset({"agent.start", "agent.heartbeat", "agent.stop"})

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._bad, self._beat, self._silent = int(values["bad_signatures"]), values["heartbeat"], values["silent_beats"]
        self._ahead, self._behind = values["ahead"], int(values["behind"])

    def observe(self, state: State, fact: Fact) -> Finding | None:
        """A heartbeat: when it came, and what the agent's clock says."""
        agent = fact.event.actor.principal
        if fact.event.resource.kind != "agent" or canonical(fact.event.resource.id) != agent or canonical(_signer(fact)) != agent:
            return None
        if fact.event.action == "agent.stop":
            state.pop("beat", None)
        else:
            last = state.get("beat")
            gap = self._beat if last is None else min(max(fact.append - last[1], self._beat), _LONGEST_BEAT_S)
            state["beat"] = [fact.place[0], fact.append, gap, *fact.place[1:]]
        if fact.ahead > self._ahead:
            text = f"The clock of {agent} is {fact.ahead:.0f} s ahead of the broker's."
            return about_agent(state, self.meta, agent, fact.place, fact.append, "alert", text, value=fact.ahead, threshold=self._ahead)
        state["old"] = state.get("old", 0) + 1 if fact.ahead < -LATENESS_S else 0
        if state["old"] >= self._behind:
            text = f"{state['old']} heartbeats in a row of {agent} are more than ten minutes old: its clock is behind, or its events are."
            return about_agent(
                state, self.meta, agent, fact.place, fact.append, "alert", text, value=state["old"], threshold=self._behind, mark="behind"
            )
        return None

    def overdue(self, state: State, agent: str, now: float) -> Finding | None:
        """Asked as the clock of the agent's shard goes on: a finding when three heartbeats have failed to come."""
        beat = state.get("beat")
        if beat is None:
            return None
        shard, last, gap, index, pos = beat
        line = self._silent * gap
        if now - last <= line:
            return None
        del state["beat"]
        place: Place = (shard, index, pos)
        text = f"{agent} has sent no heartbeat for {now - last:.0f} s; it sent one each {gap:.0f} s, and did not say that it stops."
        return about_agent(state, self.meta, agent, place, now, "alert", text, value=round(now - last, 1), threshold=line, mark="silent")

    def notice(self, state: State, shard: int, signal: Signal) -> Finding | None:
        verdict = signal.verdict
        if verdict == Verdict.BAD_SIGNATURE and signal.agent:
            times: list[float] = state.setdefault("bad", [])
            times.append(signal.append_ms / 1000)
            del times[: -self._bad]
            if len(times) == self._bad and times[-1] - times[0] <= _BAD_WINDOW_S:
                text = f"{signal.agent}: {self._bad} bad signatures within ten minutes."
                return tell(state, self.meta, shard, signal, "alert", text, value=self._bad, threshold=self._bad)
        if verdict == Verdict.OUT_OF_ORDER and "missing" in signal.reason:
            return tell(state, self.meta, shard, signal, "signal", f"{signal.agent}: {signal.reason}.", severity="low")
        return None


def _signer(fact: Fact) -> str:
    """Whose signature a heartbeat has: it says that this one lives, and nobody else."""
    return "" if fact.segment is None else fact.segment.agent
