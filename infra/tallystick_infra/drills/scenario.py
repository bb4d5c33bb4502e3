"""What a drill is: a YAML file read into frozen structs, every mistake named at once. Pure: it is given text.

title, seed, techniques, story      what it shows, in words
principals, agents, resources       who plays, and with what; all of them synthetic, none of them shared between two runs
steps                               who does what, `at` seconds after the beginning; steps of one moment run side by side
expect, must_not                    what the record has to show, and what it must never show
budget                              what may be lost at most before somebody says no
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import yaml

from tallystick_schemas.vocabulary import ActorKind, Sensitivity

from ..errors import BadScenario
from .sights import Sight
from .steps import AgentStep, PrincipalStep, Step

MAX_BYTES: Final = 64 * 1024
Small = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Share = Annotated[int, msgspec.Meta(ge=0, le=8 << 20)]


class Principal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody. `hostile`: the clock of the expectations starts at the first event of one of these, and what they take is what is lost."""

    kind: ActorKind = "human"
    roles: list[str] = []
    hostile: bool = False
    protected: bool = False
    """Stands on the deployment's list of protected principals while the drill lasts."""
    purpose: str | None = None
    """What its grant is for, if it has one, on the resource `granted`."""
    granted: str | None = None


class Material(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model or dataset of made-up files. `served`: the gateway serves it; otherwise it is only named in events."""

    kind: str = "model"
    parts: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    part_bytes: Share = 1 << 16
    sensitivity: Sensitivity = "internal"
    version: str = "1"
    collection: str = "main"
    canary: list[str] = []
    served: bool = True


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that hostile principals may get: distinct objects, and bytes."""

    objects: Small
    bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exercise. Times in seconds; `settle_s`: how long the record is watched after the last step for what must not come."""

    title: str
    seed: int
    techniques: list[str]
    story: str
    principals: dict[str, Principal] = {}
    agents: list[str] = []
    resources: dict[str, Material] = {}
    steps: list[Step]
    expect: list[Sight]
    must_not: list[Sight] = []
    budget: Budget | None = None
    settle_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3.0
    needs: list[str] = []
    """Names of connectors that this deployment must have in connectors.toml."""
    rules: list[str] = []
    """Rules in Sigma (files of `drills/rules`) that the detectors get while the drill lasts."""

    @property
    def hostile(self) -> list[str]:
        """Names of those who mean harm."""
        return [name for name, one in self.principals.items() if one.hostile]


@dataclass(frozen=True)
class Drill:
    """A scenario and the name it is run by."""

    name: str
    scenario: Scenario


def parse_scenario(name: str, text: str) -> Drill:
    """The scenario in a YAML text, or BadScenario with everything that is wrong."""
    if len(text) > MAX_BYTES:
        raise BadScenario(name, [f"it has {len(text)} characters, at most {MAX_BYTES} are allowed"])
    try:
        # An alias may stand for itself a thousand times: nobody needs one here.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise BadScenario(name, ["it uses a YAML alias"])
        scenario = msgspec.convert(yaml.safe_load(text), Scenario)
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise BadScenario(name, [" ".join(str(error).split())]) from error
    if mistakes := list(_mistakes(scenario)):
        raise BadScenario(name, mistakes)
    return Drill(name, scenario)


def _mistakes(scenario: Scenario) -> Iterator[str]:
    """Names that nothing stands behind."""
    for number, step in enumerate(scenario.steps, start=1):
        cast: Any = scenario.agents if isinstance(step, AgentStep) else scenario.principals
        if isinstance(step, AgentStep | PrincipalStep) and step.who not in cast:
            yield f"step {number}: nobody is called {step.who}"
        for what in (getattr(step, "what", None), *getattr(step, "also", ())):
            if what is not None and what not in scenario.resources:
                yield f"step {number}: there is no resource {what}"
    for sight in (*scenario.expect, *scenario.must_not):
        if sight.of is not None and sight.of not in (*scenario.principals, *scenario.agents):
            yield f"nobody is called {sight.of}, of whom the record should show: {sight.words()}"
    for name, one in scenario.principals.items():
        if one.granted is not None and one.granted not in scenario.resources:
            yield f"{name} has a grant on {one.granted}, which is no resource"
    if not scenario.expect and not scenario.must_not:
        yield "it expects nothing, so it could not fail"
