"""Topic `enforcement`: the form of its keys, and whose word about which point counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signing import DEPLOYMENT, Speaker, directive, keyring

from tallystick_schemas.enforcement import LATE_S, Enforcement, PointKey
from tallystick_schemas.envelope import Number, Opener
from tallystick_schemas.errors import OldMessage, ParseError
from tallystick_schemas.messages import LockAck, Point, encode_json
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT, LOCKS

NOW = 1_795_406_400.0
AT = wire_time(NOW)
GATEWAY, OUTBOX = Speaker("gateway"), Speaker("outbox")


def fold(*agents: str, deployment: str = DEPLOYMENT) -> Enforcement:
    ring = keyring()
    for agent in agents:
        ring.take(directive(agent, ["point"]))
    return Enforcement(Opener(deployment, ring))


def point(name: str = "gateway", **more: object) -> bytes:
    return encode_json(Point(**{"name": name, "kind": "gateway", "version": "1", "at": AT, **more}))  # type: ignore[arg-type]  # by name


def ack(name: str = "gateway", subject: str = "principal:a", command: str = "c1", at: str = AT) -> bytes:
    return encode_json(LockAck(point=name, subject=subject, command=command, state="locked", applied_at=at))


def said(speaker: Speaker, key: bytes, body: bytes, number: Number | None = None) -> tuple[bytes, bytes]:
    return key, speaker.says(ENFORCEMENT, key, body, number)


POINTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
SUBJECTS = st.builds(
    "{}:{}".format, st.sampled_from(["principal", "credential"]), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
)


@given(POINTS, st.none() | SUBJECTS)
def test_keys_come_back(name: str, subject: str | None) -> None:
    assert PointKey.parse(PointKey(name, subject).encode()) == (name, subject)


@given(st.none() | st.binary(max_size=40))
def test_any_key_is_a_point_and_its_subject_or_a_parse_error(raw: bytes | None) -> None:
    try:
        key = PointKey.parse(raw)
    except ParseError:
        return
    assert key.encode() == raw


@pytest.mark.parametrize("raw", [None, b"", b"\0principal:a", b"door\0", b"door\0model:m", b"door\0principal:", b"\xff"])
def test_other_keys_are_refused(raw: bytes | None) -> None:
    with pytest.raises(ParseError):
        PointKey.parse(raw)


def test_a_point_is_there_acknowledges_and_signs_off() -> None:
    found = fold()
    found.take(*said(GATEWAY, b"gateway", point()), NOW)
    found.take(*said(GATEWAY, b"gateway\0principal:a", ack()), NOW + 1)
    assert found.points["gateway"][1] == NOW
    assert found.acks["gateway", "principal:a"][0].command == "c1"
    found.take(*said(GATEWAY, b"gateway", point(left=True)), NOW + 2)
    assert found.points == {}


def test_a_tombstone_signs_nobody_off() -> None:
    found = fold()
    found.take(*said(GATEWAY, b"gateway", point()), NOW)
    with pytest.raises(ParseError, match="tombstone"):
        found.take(b"gateway", None, NOW)
    assert "gateway" in found.points


@pytest.mark.parametrize(
    ("agent", "name", "kind", "may"),
    [
        ("gateway", "gateway", "gateway", True),
        ("gateway", "gateway@host:1", "sdk", True),
        ("gateway", "gateway2", "gateway", False),
        ("gateway", "app", "sdk", False),
        ("gateway", "connector/vault", "connector", False),
        ("gateway", "gateway", "connector", False),
        ("app", "gateway", "gateway", False),
        ("app", "app@host:1", "sdk", True),
        ("outbox", "connector/vault", "connector", True),
        ("outbox", "outbox", "sdk", False),
        ("outbox", "connector/vault", "gateway", False),
    ],
)
def test_a_point_speaks_for_itself_and_the_outbox_for_connectors(agent: str, name: str, kind: str, may: bool) -> None:
    found, speaker = fold("app"), Speaker(agent)
    if may:
        found.take(*said(speaker, name.encode(), point(name, kind=kind)), NOW)
        assert name in found.points
    else:
        with pytest.raises(ParseError, match="may not speak for"):
            found.take(*said(speaker, name.encode(), point(name, kind=kind)), NOW)
        assert found.points == {}


def test_nobody_acknowledges_for_another_point() -> None:
    found = fold("app")
    for speaker, name in ((Speaker("app"), "gateway"), (GATEWAY, "app"), (OUTBOX, "gateway"), (GATEWAY, "connector/vault")):
        with pytest.raises(ParseError, match="may not speak for"):
            found.take(*said(speaker, f"{name}\0principal:a".encode(), ack(name)), NOW)
    found.take(*said(OUTBOX, b"connector/vault\0principal:a", ack("connector/vault")), NOW)
    assert list(found.acks) == [("connector/vault", "principal:a")]


@pytest.mark.parametrize(
    ("key", "body"),
    [
        (b"gateway", point("gateway@other")),
        (b"gateway", point(at="2026-02-31T00:00:00.000000Z")),
        (b"gateway", point(started="yesterday")),
        (b"gateway", b"\xff"),
        (b"gateway", ack()),
        (b"gateway\0principal:b", ack()),
        (b"gateway\0principal:a", ack("gateway@other")),
        (b"gateway\0principal:a", ack(at="2026-13-01T00:00:00.000000Z")),
    ],
)
def test_a_word_under_another_key_or_of_no_time_is_nobodys(key: bytes, body: bytes) -> None:
    found = fold()
    with pytest.raises(ParseError):
        found.take(*said(GATEWAY, key, body), NOW)
    assert (found.points, found.acks) == ({}, {})


def test_what_is_forged_or_from_elsewhere_is_nobodys() -> None:
    key, mine = said(GATEWAY, b"gateway", point())
    for value in (
        point(),
        Speaker("gateway", key="mallory").says(ENFORCEMENT, key, point()),
        Speaker("responder").says(ENFORCEMENT, key, point()),
        Speaker("gateway", deployment="other").says(ENFORCEMENT, key, point()),
        GATEWAY.says(LOCKS, key, point()),
        GATEWAY.says(ENFORCEMENT, b"gateway@other", point()),
        mine[:-1] + b"]",
    ):
        found = fold()
        with pytest.raises(ParseError):
            found.take(key, value, NOW)
        assert found.points == {}


def test_a_word_that_is_said_again_brings_nobody_back() -> None:
    found = fold()
    first, left = said(GATEWAY, b"gateway", point(), Number(5, 0)), said(GATEWAY, b"gateway", point(left=True), Number(5, 1))
    found.take(*first, NOW)
    found.take(*left, NOW)
    for replay in (first, left, said(GATEWAY, b"gateway", point(), Number(4, 9))):
        with pytest.raises(OldMessage):
            found.take(*replay, NOW + 1)
    assert found.points == {}
    found.take(*said(GATEWAY, b"gateway", point(), Number(6, 0)), NOW + 2)
    assert "gateway" in found.points, "the next start has a higher fence"


def test_points_do_not_count_together() -> None:
    found = fold("app")
    found.take(*said(GATEWAY, b"gateway", point(), Number(9, 0)), NOW)
    found.take(*said(Speaker("app"), b"app@h:1", point("app@h:1", kind="sdk"), Number(1, 0)), NOW)
    assert sorted(found.points) == ["app@h:1", "gateway"]


@pytest.mark.parametrize(("age_s", "there"), [(LATE_S, True), (LATE_S + 1, False), (-60.0, True)])
def test_a_heartbeat_that_was_held_back_does_not_say_that_somebody_is_there_now(age_s: float, there: bool) -> None:
    found = fold()
    word = said(GATEWAY, b"gateway", point())
    if there:
        found.take(*word, NOW + age_s)
    else:
        with pytest.raises(ParseError, match="before the log had it"):
            found.take(*word, NOW + age_s)
    assert ("gateway" in found.points) == there
