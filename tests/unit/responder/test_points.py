"""Which points are there, and which lock each acknowledged, from what stands on the topic."""

from tests.support.signing import Speaker, directive, keyring

from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.envelope import Opener
from tallystick_schemas.messages import Lock, LockAck, Point, encode_json
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT
from tallystick_stream_jobs.responder.points import standing

NOW = 1_795_406_400.0
LOCK = Lock(subject="principal:a", state="locked", command="c1", reason="r", by="b", at=wire_time(NOW))


def topic(*values: tuple[str, bytes, float]) -> Enforcement:
    """What these points signed, in this order."""
    ring = keyring()
    speakers = {name: Speaker(name) for name in ("g1", "g2", "g3")}
    for name in speakers:
        ring.take(directive(name, ["point"]))
    found = Enforcement(Opener("test", ring))
    for key, body, at in values:
        found.take(key.encode(), speakers[key[:2]].says(ENFORCEMENT, key.encode(), body), at)
    return found


def point(name: str, at: float, *, left: bool = False) -> tuple[str, bytes, float]:
    return name, encode_json(Point(name=name, kind="gateway", version="1", at=wire_time(at), left=left)), at


def ack(name: str, command: str, at: float) -> tuple[str, bytes, float]:
    told = LockAck(point=name, subject="principal:a", command=command, state="locked", applied_at=wire_time(at))
    return f"{name}\0principal:a", encode_json(told), at


def test_a_point_acknowledged_or_not_and_is_silent_or_not() -> None:
    found = topic(point("g1", NOW), point("g2", NOW - 16), point("g3", NOW), ack("g1", "c1", NOW + 0.02), ack("g3", "c0", NOW + 0.01))
    one, two, three = standing(found, [LOCK], NOW)
    assert (one.silent, one.acked_ms) == (False, {"principal:a": 20.0})
    assert (two.silent, two.acked_ms) == (True, {"principal:a": None})
    assert three.acked_ms == {"principal:a": None}, "an older lock's acknowledgement is none of this one"


def test_who_started_after_a_lock_applied_it_when_it_started() -> None:
    locks = [LOCK, Lock(subject="principal:b", state="locked", command="c2", reason="r", by="b", at=wire_time(NOW + 60))]
    late = Point(name="g1", kind="gateway", version="1", at=wire_time(NOW + 70), started=wire_time(NOW + 54))
    own = LockAck(point="g1", subject="principal:b", command="c2", state="locked", applied_at=wire_time(NOW + 60))
    found = topic(("g1", encode_json(late), NOW + 70), ack("g1", "c1", NOW + 54.087), ("g1\0principal:b", encode_json(own), NOW + 60.02))
    [one] = standing(found, locks, NOW + 70)
    assert (one.acked_ms, one.at_start) == ({"principal:a": 54087.0, "principal:b": 20.0}, {"principal:a"})
    [missing] = standing(topic(("g1", encode_json(late), NOW + 70)), locks, NOW + 70)
    assert missing.at_start == frozenset(), "what it did not acknowledge it did not apply"


def test_clocks_that_part_give_no_time_below_zero() -> None:
    [one] = standing(topic(point("g1", NOW + 0.4), ack("g1", "c1", NOW - 0.2)), [LOCK], NOW)
    assert (str(one.age_s), one.acked_ms) == ("0.0", {"principal:a": 0.0})


def test_who_signed_off_or_was_not_heard_for_a_day_is_not_shown() -> None:
    assert standing(topic(point("g1", NOW), point("g1", NOW + 1, left=True)), [], NOW + 2) == []
    assert standing(topic(point("g1", NOW - 86_400)), [], NOW) == []
