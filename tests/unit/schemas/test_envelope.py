"""Envelopes (SPEC section 12): what is signed, by whom it may be, and every way in which a message is nobody's word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signing import DEPLOYMENT, Speaker, directive, key_of, keyring, opener, public_of, role_key

from tallystick_schemas import envelope
from tallystick_schemas.envelope import MAX_KAFKA_KEY, Number, Opener, parse_claim
from tallystick_schemas.errors import ParseError, RevokedWord
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import SIGNERS, Keyring, Scope
from tallystick_schemas.signatures import fits
from tallystick_schemas.topics import DECISIONS, LOCKS, VERIFIED

SAID = Speaker("responder").says(LOCKS, b"principal:eve", b"{}")


def test_what_was_signed_is_opened() -> None:
    opened = opener().open(LOCKS, b"principal:eve", SAID)
    assert (opened.body, opened.number, opened.holder.agent) == (b"{}", Number(1, 0), "responder")


@pytest.mark.parametrize("at", range(0, len(SAID), 3))
def test_no_byte_can_be_changed(at: int) -> None:
    changed = SAID[:at] + bytes([SAID[at] ^ 1]) + SAID[at + 1 :]
    with pytest.raises(ParseError):
        opener().open(LOCKS, b"principal:eve", changed)


@pytest.mark.parametrize(
    ("topic", "key", "deployment"),
    [
        (DECISIONS, b"principal:eve", DEPLOYMENT),
        (LOCKS, b"principal:bob", DEPLOYMENT),
        (LOCKS, None, DEPLOYMENT),
        (LOCKS, b"principal:eve", "other"),
    ],
)
def test_a_message_of_another_place_is_refused(topic: str, key: bytes | None, deployment: str) -> None:
    with pytest.raises(ParseError, match=f"did not sign this for this place.*call the deployment .{deployment}., as"):
        opener(deployment=deployment).open(topic, key, SAID)


def test_a_kafka_key_has_a_bound() -> None:
    """It is signed with the rest: a forged message under a key of 4 MB cost 80 ms."""
    longest = b"k" * MAX_KAFKA_KEY
    assert opener().open(LOCKS, longest, Speaker("responder").says(LOCKS, longest, b"x")).body == b"x"
    with pytest.raises(ParseError, match="Kafka key has 8193 bytes"):
        opener().open(LOCKS, longest + b"k", Speaker("responder").says(LOCKS, longest + b"k", b"x"))


def test_no_key_is_another_place_than_an_empty_one() -> None:
    said = Speaker("notary").says("receipts", None, b"x")
    with pytest.raises(ParseError, match="did not sign"):
        opener().open("receipts", b"", said)


@pytest.mark.parametrize("topic", sorted(SIGNERS))
def test_only_the_roles_of_a_topic_may_speak_on_it(topic: str) -> None:
    for agent in ("notary", "detectors", "responder", "outbox", "gateway", "cli"):
        said = Speaker(agent).says(topic, b"k", b"x")
        if keyring().holder(agent, key_id(public_of(agent))).roles & set(SIGNERS[topic]):  # type: ignore[union-attr]  # every part has one
            assert opener().open(topic, b"k", said).body == b"x"
        else:
            with pytest.raises(ParseError, match=f"may say nothing on {topic}"):
                opener().open(topic, b"k", said)


def test_a_key_without_a_role_is_nobody() -> None:
    with pytest.raises(ParseError, match="no operator gave a role"):
        opener("detectors").open(LOCKS, b"principal:eve", SAID)


def test_a_revoked_key_says_nothing_any_longer() -> None:
    ring = keyring()
    ring.take(directive("responder", n=2, revoked=True))
    with pytest.raises(ParseError, match="revoked"):
        Opener(DEPLOYMENT, ring).open(LOCKS, b"principal:eve", SAID)


def test_a_word_that_only_names_a_revoked_key_was_never_said_by_it() -> None:
    """What the key truly said tells when it ended; a forged word tells of somebody who forges."""
    ring = keyring()
    ring.take(directive("responder", n=2, revoked=True))
    with pytest.raises(RevokedWord) as truly:
        Opener(DEPLOYMENT, ring).open(LOCKS, b"principal:eve", SAID)
    assert truly.value.revoked_at == 1_795_406_400.0
    for topic, key, raw in ((LOCKS, b"principal:eve", SAID[:-80] + bytes(80)), (LOCKS, b"principal:bob", SAID)):
        with pytest.raises(ParseError, match="which an operator revoked, and not signed by it") as forged:
            Opener(DEPLOYMENT, ring).open(topic, key, raw)
        assert not isinstance(forged.value, RevokedWord)


def test_a_revocation_is_not_undone_by_the_directive_before_it() -> None:
    ring = keyring()
    ring.take(directive("responder", n=2, revoked=True))
    assert ring.take(directive("responder", n=1)) is None
    assert [holder.active for holder in ring.agent("responder")] == [False]


def test_a_keyring_believes_pinned_operators_alone() -> None:
    with pytest.raises(ParseError, match="not pinned"):
        Keyring.of((public_of("somebody"),)).take(directive("responder"))
    with pytest.raises(ParseError, match="not pinned"):
        keyring().take(directive("mallory", ["responder"], operator=key_of("mallory")))


def test_ones_own_word_is_known_without_a_keyring() -> None:
    speaker = Speaker("responder", fence=7)
    said = speaker.says(LOCKS, b"k", b"body")
    claim = speaker.signer.own(LOCKS, b"k", said)
    assert (claim.number, claim.body) == (Number(7, 0), b"body")


def test_others_words_are_not_ones_own() -> None:
    mine = Speaker("responder").signer
    for said in (
        b"body",
        Speaker("responder", key="rotated").says(LOCKS, b"k", b"body"),
        Speaker("detectors").says(LOCKS, b"k", b"body"),
        Speaker("responder", deployment="other").says(LOCKS, b"k", b"body"),
        Speaker("responder").says(DECISIONS, b"k", b"body"),
        Speaker("responder").says(LOCKS, b"l", b"body"),
        Speaker("responder").says(LOCKS, b"k", b"body")[:-1] + b"x",
    ):
        with pytest.raises(ParseError):
            mine.own(LOCKS, b"k", said)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_claim_or_a_parse_error(raw: bytes) -> None:
    for candidate in (raw, b"TSM1" + raw, b"TSM2" + raw):
        try:
            parse_claim(candidate)
        except ParseError:
            continue
        assert candidate.startswith((b"TSM1", b"TSM2"))


BODIES = [(Number(1, n), bytes([n]) * n) for n in range(5)]


def test_messages_signed_together_are_opened_each_by_itself_and_in_any_order() -> None:
    values = Speaker("notary").signer.sign_together(VERIFIED, None, BODIES)
    opening = opener()
    for (number, body), value in reversed(list(zip(BODIES, values, strict=True))):
        opened = opening.open(VERIFIED, None, value)
        assert (opened.number, opened.body, opened.holder.agent) == (number, body, "notary")


def test_no_byte_of_what_was_signed_together_can_be_changed() -> None:
    values, opening = Speaker("notary").signer.sign_together(VERIFIED, None, BODIES), opener()
    for value in values:
        opening.open(VERIFIED, None, value)  # what is remembered of true ones lets no other one in
    for at in range(len(values[3])):
        changed = values[3][:at] + bytes([values[3][at] ^ 1]) + values[3][at + 1 :]
        with pytest.raises(ParseError):
            opening.open(VERIFIED, None, changed)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 40])
def test_any_number_of_messages_may_be_signed_at_once(count: int) -> None:
    bodies = [(Number(1, n), b"%d" % n) for n in range(count)]
    values = Speaker("notary").signer.sign_together(VERIFIED, None, bodies)
    assert [opener().open(VERIFIED, None, value).body for value in values] == [body for _, body in bodies]
    assert len({parse_claim(value).signature for value in values}) == -(-count // 16)


def test_one_check_for_all_that_are_signed_together_and_one_for_each_forged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's message is checked each time, and what he sends makes nobody check a true one twice."""
    checks: list[bytes] = []

    def counting(public: bytes, signature: bytes, signed: bytes) -> bool:
        checks.append(signature)
        return fits(public, signature, signed)

    monkeypatch.setattr(envelope, "fits", counting)
    envelope._verify_once.cache_clear()
    values, opening = Speaker("notary").signer.sign_together(VERIFIED, None, BODIES), opener()
    at = values[0].index(parse_claim(values[0]).signature)
    for value in values:
        opening.open(VERIFIED, None, value)
        for n in range(70):
            with pytest.raises(ParseError, match="did not sign"):
                opening.open(VERIFIED, None, value[:at] + bytes([n]) * 64 + value[at + 64 :])
    assert len(checks) == 1 + 70 * len(values)


def test_what_is_signed_together_is_revoked_and_told_as_any_other() -> None:
    value = Speaker("notary").signer.sign_together(VERIFIED, None, BODIES)[2]
    ring = keyring()
    opening = Opener(DEPLOYMENT, ring)
    opening.open(VERIFIED, None, value)
    ring.take(directive("notary", n=2, revoked=True))
    with pytest.raises(RevokedWord):
        opening.open(VERIFIED, None, value)


def test_scopes() -> None:
    assert Scope().covers("artifact.read", "eve", "model/atlas")
    gateway = Scope(actions=["artifact.*", "access.check"], principals=["*@example.org"], resources=["model/models/*"])
    assert gateway.covers("artifact.download", "eve@example.org", "model/models/atlas")
    for asked in (
        ("credential.suspend", "eve@example.org", "model/models/atlas"),
        ("artifact.read", "eve@example.com", "model/models/atlas"),
        ("artifact.read", "eve@example.org", "decoy/models/atlas"),
    ):
        assert not gateway.covers(*asked)
    assert not Scope(actions=[]).covers("artifact.read", "eve", "x")


def test_role_keys_name_agent_and_key() -> None:
    assert role_key("responder") == b"_role/responder/" + key_id(public_of("responder")).encode()
