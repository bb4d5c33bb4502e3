"""A drill's record, made by hand: one thief whose credential was locked, and who was refused."""

from tallystick_infra.drills.scenario import parse_scenario
from tallystick_infra.drills.seen import Fact, Seen
from tallystick_schemas.drills import drill_credential, drill_principal
from tallystick_schemas.events import Actor, Event, Resource, Usage, Why
from tallystick_schemas.messages import Finding, Lock
from tallystick_schemas.signing import wire_time

RUN, BEGAN = "a1", 1_800_000_000.0
THIEF, ANN = drill_principal(RUN, "thief"), drill_principal(RUN, "ann")
CREDENTIAL = drill_credential(RUN, "thief", 1)
SCENARIO = """
title: A thief <script>alert(1)</script>
seed: 7
techniques: [T1530]
story: Somebody takes what is not his & is stopped.
principals: {ann: {}, thief: {hostile: true}}
resources: {atlas: {parts: 4}}
steps: [{do: download, who: thief, what: atlas}]
expect: %s
must_not: [{see: lock, of: ann}, {see: refused, of: ann}]
budget: {objects: 2, bytes: 300}
"""
EXPECT = """[{see: finding, detector: D13, of: thief, within_s: 5}, {see: lock, level: suspend, subject: credential, of: thief, within_s: 5},
  {see: refused, of: thief}]"""


def scenario(expect=EXPECT):
    return parse_scenario("made", SCENARIO % expect).scenario


class Made:
    """A record to which things are added; places rise by themselves."""

    def __init__(self):
        self.seen = Seen()
        self.index = 0

    def event(
        self, after, action, who=THIEF, agent="gateway", resource=None, outcome="allowed", usage=None, text=None, credential=None, **attrs
    ):
        self.index += 1
        at = BEGAN + after
        event = Event(
            v=1,
            salt="A" * 21 + "A",
            time=wire_time(at - 0.01),
            action=action,
            actor=Actor(who, "human", credential=credential),
            resource=resource or Resource("model", f"models/drill-{RUN}/atlas", part=f"part-{self.index}"),
            outcome=outcome,
            why=Why(text=text) if text else None,
            usage=usage,
            attrs={"drill": RUN, **attrs},
        )
        place = (1, self.index, 0)
        self.seen.facts[place] = Fact(place, at, agent, event)
        return place

    def download(self, after, size, **more):
        return self.event(after, "artifact.download", usage=Usage(bytes=size, objects=1), **more)

    def finding(self, after, evidence, detector="D13", principal=THIEF, **more):
        finding = Finding(
            id=f"f{after}",
            detector=detector,
            version=1,
            title="A canary artifact was read",
            severity="critical",
            principal=principal,
            time=wire_time(BEGAN + after),
            value=1,
            threshold=1,
            window_s=0,
            evidence=evidence,
            act="suspend",
            techniques=["T1530"],
            deterministic=True,
            text=f"{principal} read the decoy <b>x</b>.",
            emitted_ms=int((BEGAN + after) * 1000),
            **more,
        )
        self.seen.take(finding)
        return finding

    def lock(self, after, subject=f"credential:{CREDENTIAL}", command="c1", *, signed=True, told=True, by="responder", finding=None):
        if told:
            at = wire_time(BEGAN + after)
            self.seen.take(Lock(subject=subject, state="locked", command=command, reason="why", by=by, at=at, finding=finding))
        if signed:
            kind, _, name = subject.partition(":")
            self.event(after + 0.1, "credential.suspend", who=by, agent=by, resource=Resource(kind, name), text="why", command=command)


def stopped():
    """What a passed drill leaves."""
    made = Made()
    places = [made.download(0, 100), made.download(1, 100)]
    finding = made.finding(1.5, places)
    made.lock(1.6, finding=finding.id)
    made.event(2, "access.check", outcome="denied", credential=CREDENTIAL, lock="c1", status="403")
    return made
