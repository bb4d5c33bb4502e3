"""Everything synthetic that one run needs: tokens, artifacts, an enrolled agent. All of it is named after the run, so that it is found again by name."""

import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Final

from kafka.partitioner.default import murmur2

from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_schemas.drills import DRILL_ATTR, drill_credential, drill_principal
from tallystick_schemas.topics import verified_partition

from ..admission import admit
from ..built_in import ANYTHING, mandate_of
from ..deployment import Deployment, read_run
from ..deployment.keyfiles import make_key
from ..enrolling import enrol_agents
from ..errors import DrillUnusable
from .scenario import Drill, Material, Principal
from .steps import Silence

SDK: Final = "sdk"
"""The agent that records for whoever does not pass the gateway."""
_ENROL_S: Final = 30.0
_TOKENS_READ_S: Final = 0.7
"""The gateway looks at its token file twice a second; a request before that would be an anonymous one."""
_FOLDERS: Final = {"model": "models", "dataset": "datasets"}


class Stage:
    """One run's. `set` makes everything, `leave` hangs up; what was made is removed by `leftovers.clear`."""

    def __init__(self, deployment: Deployment, drill: Drill, run: str) -> None:
        self.deployment, self.scenario, self.run = deployment, drill.scenario, run
        self.random = random.Random(drill.scenario.seed)  # noqa: S311 - the same drill plays the same twice
        self._tokens: dict[tuple[str, int], str] = {}
        self._credentials: dict[str, int] = {}
        self._guard = threading.Lock()
        self._known_at = 0.0
        self.recorder: Recorder | None = None
        self.witnesses: list[Recorder] = []
        """Agents that beat on beside one that falls silent."""

    @property
    def gateway(self) -> str:
        """Where the gateway answers."""
        run, settings = read_run(self.deployment.path), self.deployment.gateway()
        return run.gateway if run else f"http://{settings.host}:{settings.port}"

    @property
    def root(self) -> Path:
        return Path(self.deployment.gateway().root)

    def principal(self, name: str) -> str:
        """How the history names somebody of this run."""
        return drill_principal(self.run, name)

    def set(self) -> None:
        """Artifacts, tokens, agents. DrillUnusable when this deployment has no place for them."""
        for name, material in self.scenario.resources.items():
            if material.served:
                self._make(name, material)
        for name in self.scenario.principals:
            self.mint(name)
        self._enrol()

    def leave(self) -> None:
        """Everything recorded goes out; nothing of the stage runs any more."""
        for recorder in (*self.witnesses, *([self.recorder] if self.recorder else [])):
            recorder.close()
        self.witnesses, self.recorder = [], None

    def mint(self, name: str) -> str:
        """One more token of somebody; its credential id."""
        one, token = self.scenario.principals[name], new_token()
        with self._guard:
            number = self._credentials[name] = self._credentials.get(name, 0) + 1
            self._tokens[(name, number)] = token
        record = token_record(
            token, self.principal(name), one.kind, credential=drill_credential(self.run, name, number), roles=tuple(one.roles)
        )
        append_token(Path(self.deployment.gateway().tokens_file), record)
        self._known_at = time.monotonic() + _TOKENS_READ_S
        return record.credential

    def token(self, name: str, number: int = 1) -> str:
        """A token of somebody, once the gateway has had the time to read it."""
        time.sleep(max(0.0, self._known_at - time.monotonic()))
        with self._guard:
            return self._tokens[(name, number)]

    def actor(self, name: str, number: int = 1) -> Actor:
        """Somebody as an event names him."""
        one: Principal = self.scenario.principals[name]
        return Actor(self.principal(name), one.kind, credential=drill_credential(self.run, name, number), roles=one.roles or None)

    def resource(self, name: str, part: str | None = None, digest: str | None = None) -> Resource:
        """A material as the gateway's events would name it."""
        material = self.scenario.resources[name]
        return Resource(
            material.kind,
            f"{_FOLDERS.get(material.kind, material.kind)}/{self.repo(name)}",
            version=material.version,
            part=part,
            collection=self.collection(material),
            sensitivity=material.sensitivity,
            digest=digest,
        )

    def repo(self, name: str) -> str:
        return f"drill-{self.run}/{name}"

    def collection(self, material: Material) -> str:
        return f"drill-{self.run}-{material.collection}"

    def path(self, name: str, part: str = "") -> str:
        """The gateway's path of a part, or of the repository."""
        material = self.scenario.resources[name]
        return f"/files/{_FOLDERS.get(material.kind, material.kind)}/{self.repo(name)}/{part}".rstrip("/")

    def attrs(self) -> dict[str, str]:
        """The mark of the run."""
        return {DRILL_ATTR: self.run}

    def folder(self, name: str) -> Path:
        material = self.scenario.resources[name]
        return self.root / _FOLDERS.get(material.kind, material.kind) / self.repo(name)

    def witness(self, agent: str) -> str:
        """Another agent whose records go to the same shard as this one's, and then to the same detectors: by its beats they see the time pass."""
        shards = self.deployment.log().shards
        home = _home(self.principal(agent), shards)
        return next(name for number in range(10_000) if _home(name := self.principal(f"{agent}.{number}"), shards) == home)

    def _make(self, name: str, material: Material) -> None:
        folder = self.folder(name)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise DrillUnusable(f"{folder}, a folder of the gateway's, cannot be made: {error.strerror}") from error
        meta = {"sensitivity": material.sensitivity, "version": material.version, "collection": self.collection(material)}
        (folder / "tallystick.json").write_text(json.dumps({**meta, "canary": material.canary}))
        for part in (*part_names(material), *material.canary):
            write_part(folder / part, material.part_bytes, self.random)

    def _enrol(self) -> None:
        quiet = [step.who for step in self.scenario.steps if isinstance(step, Silence)]
        names = [self.principal(agent) for agent in (SDK, *self.scenario.agents)] + [self.witness(agent) for agent in quiet]
        mandates = {name: mandate_of(make_key(self.deployment.agent_key(name)), scope=ANYTHING) for name in names}
        admit(self.deployment, names)
        enrol_agents(self.deployment, mandates, f"drill {self.run}", _ENROL_S)
        self.recorder = Recorder.open(self.deployment.agent(self.principal(SDK)))


def shard_of(agent: str, shards: int) -> int:
    """The partition of `events` that Kafka's default partitioner gives an agent's key (murmur2, as every client has it)."""
    return int(murmur2(agent.encode()) & 0x7FFFFFFF) % shards


def _home(agent: str, shards: int) -> tuple[int, int]:
    """(partition of `events`, partition of `verified`) of an agent's heartbeats."""
    return shard_of(agent, shards), verified_partition(agent)


def part_names(material: Material) -> list[str]:
    """A model's shards, or a dataset's rows in files."""
    if material.kind == "model":
        return [f"model-{number:05d}-of-{material.parts:05d}.safetensors" for number in range(1, material.parts + 1)]
    return [f"part-{number:05d}.parquet" for number in range(1, material.parts + 1)]


def write_part(path: Path, size: int, rng: random.Random) -> None:
    """A file of `size` bytes that takes hardly any disk: a few of them are random, the rest is a hole."""
    with path.open("wb") as file:
        file.write(rng.randbytes(min(size, 64)))
        os.truncate(file.fileno(), size)
