"""Topics that jobs read: acts and findings at the responder, verified and detector-state at the detectors."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.support.detector_job import Broker, said
from tests.support.owning import Site, acts_message, finding_message, finding_told, order_message
from tests.support.responding import finding
from tests.support.signing import Speaker
from tests.unit.detectors.test_kept_state import POLICY, live, unsigned
from tests.unit.detectors.test_verified_messages import decoy, play
from tests.unit.responder.test_owning import acts, evidence, finds, locked, order, owner, tick, watch

from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.events import Actor
from tallystick_schemas.messages import Finding
from tallystick_schemas.records import frame_record, parse_record
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, DETECTOR_STATE, FINDINGS, VERIFIED
from tallystick_stream_jobs.detectors.state import FENCE, OWNER, place
from tallystick_stream_jobs.responder.job import Responder
from tallystick_stream_jobs.shell import Message

from .cells import REFUSED, TOLD, Attack, Outcome, unless
from .forgers import foreigner, forgers


def _spoken(message: Message, topic: str, speaker: Speaker | None) -> Message:
    """The same message, said by somebody else, or unsigned."""
    body = parse_claim(message.value or b"").body
    return Message(0, 0, 0, message.key, body if speaker is None else speaker.says(topic, message.key, body))


def _forged(message: Message, topic: str, role: str) -> list[Message]:
    return [_spoken(message, topic, one) for one in (None, *forgers(role))]


def _wrongly_signed(record: bytes) -> bytes:
    """The record with a signature that is nobody's."""
    read = parse_record(record)
    return frame_record(read.kind, read.header_raw, bytes(len(read.sig)), read.body)


def _other_body(record: bytes, other: bytes) -> bytes:
    """A record's header and signature, with another one's events."""
    read = parse_record(record)
    return frame_record(read.kind, read.header_raw, read.sig, parse_record(other).body)


def acts_topic(attack: Attack, _: Path) -> Outcome:
    """Eve is locked, lifted and locked again by people; then the attack, which wants her free."""
    site = Site()
    with patch("time.time", lambda: site.clock):
        made = owner(site)
        one = order_message(site, order(site))
        lifts = order_message(site, order(site, "unlocked", "c2", lifts="c1"), start=2)
        again = order_message(site, order(site, command="c3"), start=3)
        gone = Message(0, 0, 0, None, None)
        # No commander's accepted order: the ledger has none of these.
        fresh = order_message(site, order(site, "unlocked", "c4", lifts="c3"), stored=False, start=4)
        fakes = _not_a_commanders(site) if attack == "forge" else []
        orders: dict[Attack, list[Message]] = {
            "forge": [one, lifts, again, *_forged(fresh, ACTS, "notary"), *fakes],
            "replay": [one, lifts, again, lifts],
            "roll back": [one, lifts],
            "reorder": [one, again, lifts],
            "delay": [one, again],
            "drop": [one, lifts],
            "delete": [one, lifts, again, gone],
            "another deployment's": [one, lifts, again, _spoken(fresh, ACTS, foreigner("notary"))],
        }
        for message in orders[attack]:
            acts(made, message)
        if attack == "delay":
            site.clock += 7200
            acts(made, lifts)
            return unless(not locked(site), TOLD if "too old to act on" in site.decisions()[-1].reason else REFUSED)
        for _ in range(5):
            watch(made, site)
        return unless(not locked(site), TOLD if any(one.detector == "R07" for one in site.findings()) else REFUSED)


def _not_a_commanders(site: Site) -> list[Message]:
    """Messages of the notary's that point at records which no commander signed: nobody's, another role's, a forged and a changed one, and none."""
    nobodys = order_message(site, order(site, "unlocked", "c5", lifts="c3"), "mallory", stored=False, start=5)
    another_roles = order_message(site, order(site, "unlocked", "c6", lifts="c3"), "gateway", stored=False, start=6)
    forged = order_message(site, order(site, "unlocked", "c7", lifts="c3"), stored=False, start=7)
    site.log[-1] = _wrongly_signed(site.log[-1])
    changed = order_message(site, order(site, command="c8", subject="principal:bob"), stored=False, start=8)
    at = len(site.log) - 1
    order_message(site, order(site, "unlocked", "c9", lifts="c3"), stored=False, start=9)
    site.log[at] = _other_body(site.log[at], site.log[-1])
    return [nobodys, another_roles, forged, changed, acts_message(len(site.log))]


def findings_topic(attack: Attack, _: Path) -> Outcome:
    """Detection found ann. Forgers want somebody locked; a broker wants her free."""
    site = Site()
    with patch("time.time", lambda: site.clock):
        made, at = owner(site), evidence(site)
        said = finding(proof=(0, at, 0), evidence=[(0, at, 0)], time=wire_time(site.clock))
        found = finding_message(said)
        if attack in ("drop", "roll back", "delay"):
            return _not_brought(made, site, said, late=attack == "delay")
        if attack in ("forge", "another deployment's", "delete"):
            given = {
                "forge": _forged(found, FINDINGS, "detectors"),
                "another deployment's": [_spoken(found, FINDINGS, foreigner("detectors"))],
                "delete": [Message(0, 0, 0, b"ann", None)],
            }.get(attack, [])
            for one in given:
                finds(made, one)
            watch(made, site)
            return unless(locked(site) != {})
        finds(made, found)
        if attack == "replay":
            tick(made, site)
            acts(made, order_message(site, order(site, "unlocked", "c2", subject="credential:tok"), start=2))
            finds(made, found)
            return unless(locked(site) != {})
        other = evidence(site, actor=Actor("bob", "human", credential="bobs"))
        later = finding(who="bob", number=2, credential="bobs", proof=(0, other, 0), evidence=[(0, other, 0)], time=wire_time(site.clock))
        finds(made, finding_message(later))
        finds(made, found)
        return unless(set(locked(site)) != {"credential:tok", "credential:bobs"})


def _not_brought(made: Responder, site: Site, said: Finding, *, late: bool) -> Outcome:
    """Detection wrote the finding into the history as well; its topic brings it when nobody is locked any more, or never."""
    finding_told(site, said)
    tick(made, site)
    for _ in range(13):
        watch(made, site)
    told = [one.detector for one in site.findings()]
    if late:
        finds(made, finding_message(said))
    assert locked(site) == ({"credential:tok": "auto-F-1"} if late else {})
    return unless(told != ["R07"], TOLD)


def verified_topic(attack: Attack, home: Path) -> Outcome:
    """Decoys are read: each is a finding. The attack wants one unseen, or somebody found who did nothing."""
    body, alone = parse_claim(said(decoy(9), 0)).body, ["eve-0"]
    if attack == "forge":
        return _found(play(home, said(decoy(), 0), body, *(one.says(VERIFIED, None, body) for one in forgers("notary"))), alone)
    if attack == "another deployment's":
        return _found(play(home, said(decoy(), 0), foreigner("notary").says(VERIFIED, None, body)), alone)
    if attack == "delay":
        return unless(_found(play(home, said(decoy(), 0)), alone) is REFUSED)
    if attack == "replay":
        broker = Broker()
        play(home, said(decoy(), 0), broker=broker)
        bucket = next(key for key, _ in broker.kept[0] if key and key.isdigit())
        # A bucket that could not be read knows nothing: the notary's number alone tells that the message is an old one.
        broker.claim(0, bucket, Speaker("detectors", 5).says(DETECTOR_STATE, place(0, bucket), b"\xc1"))
        return _found(play(home, said(decoy(), 0), broker=broker), alone)
    values = {
        "roll back": [said(decoy(), 0), said(decoy(3), 3)],
        "reorder": [said(decoy(), 0), said(decoy(2), 2), said(decoy(1), 1)],
        "drop": [said(decoy(), 0), said(decoy(2), 2)],
        "delete": [said(decoy(), 0), None],
    }[attack]
    return _found(play(home, *values), alone)


def _found(found: list[Any], alone: list[str]) -> Outcome:
    if any(one.detector == "T01" for one in found):
        return TOLD
    return unless([one.principal for one in found] != alone)


def _blank(speaker: Speaker, key: bytes | None) -> tuple[bytes | None, bytes | None]:
    """A newer value than any, which forgets what was counted."""
    return key, speaker.says(DETECTOR_STATE, place(0, key or b""), b'{"offset":0}' if key == FENCE else b"x")


def detector_state(attack: Attack, home: Path) -> Outcome:
    """Two of the three objects that make a finding were counted; the next owner sees the third."""
    (home / "detection.yaml").write_text(POLICY)
    broker = Broker()
    live(home, broker, 0)
    early = [one for one in broker.kept[0] if one[0] != OWNER]
    live(home, broker, 1)
    values, bucket = broker.kept[0], next(key for key, _ in broker.kept[0] if key and key.isdigit())
    if attack == "drop":
        broker.kept[0] = [one for one in values if one[0] != bucket]
        live(home, broker, fence=9)
        return TOLD if [one.detector for one in broker.findings] == ["T02"] else unless(True)
    if attack in ("roll back", "delay"):
        copy = list(values)
        live(home, broker, 2, fence=5)
        before = [one.id for one in broker.findings if one.detector == "D01"]
        broker.kept[0] = copy if attack == "roll back" else [*broker.kept[0], *[one for one in copy if one[0] != OWNER]]
        wanted = live(home, broker, fence=9)
        if attack == "delay":
            return unless(wanted != 3 or any(one.detector == "T02" for one in broker.findings))
        live(home, broker, 2, fence=20)
        again = [one.id for one in broker.findings if one.detector == "D01"]
        return unless(wanted != 2 or set(again) != set(before))
    changed = {
        "forge": [*values, *map(unsigned, values), *[_blank(who, key) for who in forgers("detectors") for key, _ in values]],
        "replay": [*values, *early],
        "reorder": [*values[:1], *values[:0:-1]],
        "delete": [*values, *[(key, None) for key, _ in values]],
        "another deployment's": [*values, *[_blank(foreigner("detectors"), key) for key, _ in values]],
    }[attack]
    again_broker = Broker()
    again_broker.kept[0] = changed
    live(home, again_broker, 2, fence=9)
    told = [one.detector for one in again_broker.findings]
    return REFUSED if told == ["D01"] else unless("T02" not in told, TOLD)
