"""What can be done in a drill: one struct a kind of step, told apart by `do`. Shapes only; `play` does them.

Times: `at` is seconds after the beginning of the play, `spread_s` reaches back from now: events of a step get times spread over so many seconds of the past.
It stays below ten minutes since the detectors believe an agent's clock no further (detectors/facts.py).
"""

from typing import Annotated

import msgspec

from tallystick_schemas.vocabulary import Outcome

Seconds = Annotated[float, msgspec.Meta(ge=0, le=300)]
Past = Annotated[float, msgspec.Meta(ge=0, le=570)]
Count = Annotated[int, msgspec.Meta(ge=1, le=20_000)]


class PrincipalStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", kw_only=True):
    """Somebody does something."""

    at: Seconds = 0.0
    who: str


class Download(PrincipalStep, frozen=True, tag="download"):
    """GET parts of a repository through the gateway, one after the other, until the end or a refusal. `parts` None: all; `extra`: files by name."""

    what: str
    parts: Count | None = None
    first: Annotated[int, msgspec.Meta(ge=0)] = 0
    extra: list[str] = []
    pause_s: Seconds = 0.0
    rate_mb_s: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 30.0
    credential: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    stubborn: bool = False
    """Goes on asking after a refusal."""


class Browse(PrincipalStep, frozen=True, tag="browse"):
    """List repositories of the gateway, `times` over: `what`, then each of `also`."""

    what: str
    also: list[str] = []
    times: Count = 1
    pause_s: Seconds = 0.0


class Record(PrincipalStep, frozen=True, tag="record"):
    """Events of the synthetic agent about what does not pass the gateway: inference, dataset queries, uploads."""

    action: str
    what: str
    count: Count = 1
    spread_s: Past = 0.0
    pause_s: Seconds = 0.0
    parts: Count | None = None
    """Distinct parts that the events walk through; None: no part is named."""
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    prompts: Count | None = None
    """Distinct prompt hashes."""
    bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    tokens_out: Annotated[int, msgspec.Meta(ge=0)] = 0
    purpose: str | None = None
    outcome: Outcome = "allowed"
    credential: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    digest: str | None = None
    attrs: dict[str, str] = {}


class Mint(PrincipalStep, frozen=True, tag="mint"):
    """One more credential, as somebody who already has one could make himself; the issuing is an event."""


class AgentStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", kw_only=True):
    """An agent misbehaves."""

    at: Seconds = 0.0
    who: str


class Forge(AgentStep, frozen=True, tag="forge"):
    """Segments in the agent's name whose signatures are somebody else's."""

    count: Count = 5


class Fork(AgentStep, frozen=True, tag="fork"):
    """A second holder of the agent's key signs another segment under a number that is taken."""


class Silence(AgentStep, frozen=True, tag="silence"):
    """The agent falls silent without saying that it stops, while another agent of its shard beats on: by its clock silence is measured."""


class Swap(PrincipalStep, frozen=True, tag="swap"):
    """The files of a dataset are replaced under the same version, and the registry's agent records the upload."""

    what: str


class Outage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="outage", kw_only=True):
    """The drill's own receiver answers 503 for so long, then 202."""

    at: Seconds = 0.0
    seconds: Seconds


Step = Download | Browse | Record | Mint | Forge | Fork | Silence | Swap | Outage
