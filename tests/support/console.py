"""A console on a free port with a theft to look at: the real application and server, its sources simulated. For tests and pictures."""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from tests.support.signing import OPERATORS, PARTS, Speaker, directive, role_key

from tallystick_dashboard.app import build_app
from tallystick_dashboard.cookies import Cookies
from tallystick_dashboard.health import Waiting
from tallystick_dashboard.hub import Hub
from tallystick_dashboard.intake import look_for_closings, take_history, take_message
from tallystick_dashboard.ports import CheckpointRow, Closing, EntryRow, EvidenceEvent, HistoryView, ShardRow
from tallystick_dashboard.run import console_server
from tallystick_dashboard.settings import ConsoleSettings
from tallystick_dashboard.used_links import UsedLinks, sign_in_link
from tallystick_schemas.blast_radius import Hit, Plan
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, Why, encode_event, event_leaf
from tallystick_schemas.headers import Kind
from tallystick_schemas.messages import (
    HEARTBEAT_KEY,
    Decision,
    Finding,
    Lock,
    Place,
    VerifiedBatch,
    VerifiedSegment,
    encode_batch,
    encode_json,
)
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.standing import Standing
from tallystick_schemas.topics import DECISIONS, FINDINGS, LOCKS, VERIFIED

SECRET = b"s" * 32
LOG = LogSettings(deployment="example", shards=4, operator_keys=OPERATORS)
THIEF = "ci-runner@example.org"
CREDENTIAL = "tok-7f3a"
MODEL = "acme/large-v3"


def make_event(
    time: float, principal: str, action: str, *, part: str | None = None, outcome: str = "allowed", size: int | None = None, ip: str = "10.1.4.20",
    resource: str = MODEL, credential: str | None = None, kind: str = "model", roles: list[str] | None = None, attrs: dict[str, str] | None = None,
) -> bytes:  # fmt: skip
    """The bytes of one event."""
    return encode_event(
        Event(
            v=1,
            salt="AAAAAAAAAAAAAAAAAAAAAA",
            time=wire_time(time),
            action=action,
            actor=Actor(principal=principal, kind="service", credential=credential, roles=roles),
            resource=Resource(kind=kind, id=resource, version="3", part=part, collection="models"),
            outcome=outcome,  # type: ignore[arg-type]
            usage=Usage(bytes=size) if size is not None else None,
            source=Source(ip=ip),
            attrs=attrs,
        )
    )


def stolen(number: int, time: float, action: str, **more: Any) -> bytes:
    """The thief at one part of the model."""
    part = f"model-{number:05d}-of-00048.safetensors"
    return make_event(time, THIEF, action, part=part, ip="203.0.113.77", credential=CREDENTIAL, **more)


def theft_finding(now: float, places: list[Place]) -> Finding:
    """What D03 says of it."""
    return Finding(
        id="F-5c1d0a9e7b24",
        detector="D03",
        version=1,
        title="Whole restricted model pulled with one token",
        severity="critical",
        principal=THIEF,
        credential=CREDENTIAL,
        time=wire_time(now - 3),
        value=29,
        threshold=28,
        window_s=900,
        resource=f"model/{MODEL}@3",
        collection="models",
        evidence=places,
        act="suspend",
        deterministic=False,
        baseline=2,
        peers=3,
        techniques=["AML.T0025", "AML.T0035"],
        text="One token fetched 29 of 48 weight parts of a restricted model in 9 seconds, from an address that it was never used from before.",
        emitted_ms=int(now * 1000),
    )


@dataclass
class Simulator:
    """Simulated sources and recorder: what is recorded becomes a lock, as the notary and the responder would make it one.

    `answer_orders` False leaves orders lying, as if the responder were down; `recorder_error` makes recording fail.
    """

    hub: Hub | None = None
    events: dict[Place, bytes] = field(default_factory=dict)
    indexes: dict[int, int] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)
    acts: list[dict[str, Any]] = field(default_factory=list)
    closed: dict[str, Closing] = field(default_factory=dict)
    standing: dict[Place, Standing] = field(default_factory=dict)
    """Of events that do not hold."""
    answer_orders: bool = True
    recorder_error: Exception | None = None
    speakers: dict[str, Speaker] = field(default_factory=lambda: {part: Speaker(part, deployment="example") for part in PARTS})

    # --- ActRecorder ---
    async def record_async(
        self, action: str, *, actor: Actor, resource: Resource, why: Why | None = None, attrs: dict[str, str] | None = None, **more: Any
    ) -> str:
        if self.recorder_error is not None:
            raise self.recorder_error
        attrs = attrs or {}
        self.acts.append({"action": action, "actor": actor, "resource": resource, "why": why, "attrs": attrs})
        if self.answer_orders and action.startswith("credential."):
            self.send_lock(
                Lock(
                    subject=f"{resource.kind}:{resource.id}",
                    state="locked" if action == "credential.suspend" else "unlocked",
                    command=attrs["command"],
                    reason=(why.text if why else None) or "",
                    by=actor.principal,
                    at=wire_time(self.now()),
                    until=attrs.get("until"),
                    finding=attrs.get("finding"),
                )
            )
        return f"console/{'0' * 32}/{len(self.acts)}"

    # --- Sources ---
    def plan(self, subject: str, now: float) -> Plan:
        none, some = Hit(0, []), Hit(29, ["model acme/large-v3 model-00001-of-00048.safetensors"])
        principal = Hit(1, [THIEF])
        return Plan(
            subject=subject,
            since=wire_time(now - 86_400),
            until=wire_time(now),
            events=61,
            last_seen=wire_time(now - 2),
            principals=principal,
            credentials=Hit(1, [CREDENTIAL]),
            sessions=Hit(2, ["s-1", "s-2"]),
            jobs=Hit(1, ["train-7"]),
            agents=none,
            addresses=Hit(1, ["203.0.113.77"]),
            artifacts=some,
        )

    def send_decision(self, decision: Decision) -> None:
        self.say("responder", DECISIONS, decision.subject.encode(), encode_json(decision))

    def evidence(self, places: Sequence[Place]) -> list[EvidenceEvent]:
        found = []
        for place in (tuple(p) for p in places):
            raw = self.events.get(place)
            if raw is not None:
                from tallystick_schemas.events import parse_event

                entry = self.entry(place[0], place[1], self.now())
                standing = self.standing.get(place, Standing.HOLDS)
                found.append(EvidenceEvent(place, raw, parse_event(raw), event_leaf(raw).hex(), entry, place[1] + 12, standing))
        return found

    def closings(self) -> dict[str, Closing]:
        return self.closed

    def history(self) -> HistoryView:
        now = self.now()
        shards, entries, checkpoints = [], [], []
        for shard, top in sorted(self.indexes.items()):
            newest = self.times.get(shard, now)
            shards.append(ShardRow(shard, top + 1, int(newest * 1000), top, {0: min(1000, top + 1) - 3, 1: 2, 2: 1}))
            entries += [one for n in range(20) if n <= top and (one := self.entry(shard, top - n, newest - 0.7 * n)).kind != Kind.SEAL]
            checkpoints += [self.checkpoint(LOG.origin(shard), top - 5 * n, now - 2.0 * n) for n in range(3)]
        if shards:
            checkpoints += [self.checkpoint(LOG.root_origin, 400 - n, now - 2.0 * n) for n in range(4)]
        return HistoryView(tuple(shards), tuple(entries), tuple(checkpoints))

    def entry(self, shard: int, index: int, time: float) -> EntryRow:
        leaf = sha256(f"{shard}/{index}".encode()).hexdigest()
        kind = 5 if index % 6 == 0 else 1
        verdict = 1 if index % 17 == 3 else 0
        agent = "" if kind == 5 else "gateway"
        return EntryRow(
            shard,
            index,
            kind,
            verdict,
            agent,
            index,
            0 if kind == 5 else 8,
            int(time * 1000),
            leaf,
            sha256(leaf.encode()).hexdigest(),
            True,
        )

    def checkpoint(self, origin: str, size: int, time: float) -> CheckpointRow:
        return CheckpointRow(origin, max(0, size), sha256(f"{origin}{size}".encode()).hexdigest(), time, None)

    # --- what Kafka would bring ---
    def now(self) -> float:
        assert self.hub is not None
        return self.hub.clock()

    def send_events(self, raws: Sequence[bytes], shard: int = 0) -> list[Place]:
        index = self.indexes[shard] = self.indexes.get(shard, 40 + shard * 7) + 1
        self.times[shard] = self.now()
        places = [(shard, index, pos) for pos in range(len(raws))]
        self.events.update(zip(places, raws, strict=True))
        segment = VerifiedSegment(index, "gateway", "0" * 32, 0, int(self.now() * 1000), list(enumerate(raws)))
        self.say("notary", VERIFIED, None, encode_batch(VerifiedBatch(1, shard, [segment], [])))
        return places

    def send_finding(self, finding: Finding) -> None:
        self.say("detectors", FINDINGS, finding.principal.encode(), encode_json(finding))

    def send_lock(self, lock: Lock) -> None:
        self.say("responder", LOCKS, lock.subject.encode(), encode_json(lock))

    def send_heartbeat(self, **changes: Any) -> None:
        assert self.hub is not None
        beat = msgspec.structs.replace(self.hub.locks._topic.heartbeat(wire_time(self.now())), **changes)
        self.say("responder", LOCKS, HEARTBEAT_KEY, encode_json(beat))

    def send_roles(self) -> None:
        for part in PARTS:
            self.take(LOCKS, role_key(part), directive(part))

    def say(self, part: str, topic: str, key: bytes | None, body: bytes) -> None:
        """One message as a part signs it."""
        self.take(topic, key, self.speakers[part].says(topic, key, body))

    def refresh(self) -> None:
        assert self.hub is not None
        take_history(self.hub, self.history())
        look_for_closings(self.hub)
        self.hub.seen.behind, self.hub.seen.kafka_read = 0, self.now()
        self.hub.seen.detection, self.hub.seen.detection_read = Waiting(0, None), self.now()

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        assert self.hub is not None
        assert take_message(self.hub, topic, key, value) is None

    # --- the story ---
    def theft(self) -> Finding:
        """The stolen token pulls a restricted model, is found and locked; the finding."""
        now = self.now()
        pulls = [stolen(n, now - 12 + n * 0.3, "artifact.download", size=4_900_000_000) for n in range(1, 30)]
        places = self.send_events(pulls, shard=2)
        finding = theft_finding(now, places)
        self.send_finding(finding)
        self.send_lock(
            Lock(
                subject=f"credential:{CREDENTIAL}",
                state="locked",
                command="auto-D03-5c1d",
                reason="Whole restricted model pulled with one token (D03, with D01)",
                by="responder",
                at=wire_time(now),
                until=wire_time(now + 3600),
                finding=finding.id,
                evidence=places[:4],
            )
        )
        self.send_events([stolen(n, now, "access.deny", outcome="denied") for n in (30, 31, 32)], shard=2)
        return finding

    def everyday(self, count: int = 40) -> None:
        """Ordinary work of several principals."""
        now = self.now()
        people = ["ana@example.org", "train-7@svc.example.org", "bo@example.org", "eval-bot@svc.example.org", "mika@example.org"]
        acts = [
            ("artifact.download", 812_000_000),
            ("artifact.list", None),
            ("model.infer", None),
            ("dataset.read", 44_000_000),
            ("access.check", None),
        ]
        names = ["acme/small-v2", "acme/embed-v1", "web-2026-03", "acme/large-v3"]
        for n in range(count):
            action, size = acts[n * 7 % len(acts)]
            part = f"shard-{n % 12:04d}.parquet" if action == "dataset.read" else "model.safetensors" if size else None
            raw = make_event(
                now - count * 0.1 + n * 0.1,
                people[n * 3 % len(people)],
                action,
                part=part,
                size=size,
                ip=f"10.1.{n % 4}.{20 + n % 9}",
                resource=names[n % len(names)],
            )
            self.send_events([raw], shard=n % 4)

    def quiet_findings(self) -> None:
        """A few findings of other severities."""
        rows = [
            ("D05", "medium", "ana@example.org", "Reads outside working hours", 14.0, 9.0, "signal"),
            ("D02", "high", "train-7@svc.example.org", "Bytes far above the peers' habit", 412.5, 120.0, "alert"),
            ("D08", "low", "mika@example.org", "First use of a collection", 1.0, 1.0, "signal"),
        ]
        now = self.now()
        for n, (detector, severity, principal, title, value, threshold, act) in enumerate(rows):
            place = self.send_events(
                [make_event(now - 900 + n, principal, "dataset.read", part=f"part-{n}.parquet", size=9_100_000)], shard=n
            )
            self.send_finding(
                Finding(
                    id=f"F-{n}aa0c1d2e3f4",
                    detector=detector,
                    version=1,
                    title=title,
                    severity=severity,  # type: ignore[arg-type]
                    principal=principal,
                    time=wire_time(now - 900 + 60 * n),
                    value=value,
                    threshold=threshold,
                    window_s=3600,
                    evidence=place,
                    act=act,  # type: ignore[arg-type]
                    deterministic=False,
                    techniques=["AML.T0035"],
                    text=f"{title}: {value} against a threshold of {threshold}.",
                    emitted_ms=int((now - 900 + 60 * n) * 1000),
                )
            )


class RunningConsole:
    """The real server on a free port of 127.0.0.1, in a thread; leave the block and it is gone."""

    def __init__(self, folder: Path, secret: bytes = SECRET, **settings: Any) -> None:
        self._secret, secret_file = secret, folder / "console.secret"
        secret_file.write_bytes(secret)
        self.settings = ConsoleSettings(secret_file=str(secret_file), state_dir=str(folder), port=0, **settings)
        self.simulator = Simulator()
        self.hub = Hub(self.settings, LOG, self.simulator, self.simulator)
        self.simulator.hub = self.hub
        self.simulator.send_roles()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        app = build_app(self.hub, secret, UsedLinks(secret, folder / "used-links"))
        self._server = console_server(app)
        self._server.config.timeout_graceful_shutdown = 1
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)

    @property
    def cookies(self) -> Cookies:
        """What its cookies are called."""
        return Cookies.of(self._secret, secure=self.settings.secure)

    def link(self, who: str = "analyst") -> str:
        """A fresh sign-in link for `who`."""
        return sign_in_link(self._secret, self.url, self.hub.clock(), who)

    def __enter__(self) -> "RunningConsole":
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()
