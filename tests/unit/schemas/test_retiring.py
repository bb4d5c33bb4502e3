"""Keys of operators and sealers that were retired: in the fold from a place on, in keyrings as soon as they hear of it, and for good."""

from itertools import permutations

import pytest
from tests.support.history import private_key, public_bytes
from tests.support.history_source import MemorySource
from tests.support.rotating import KEY, PUBLIC, by, rotating, said

from tallystick_audit.verify.history import verify_source
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.errors import ParseError
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring
from tallystick_schemas.verdicts import Verdict

AGENT = private_key("gw")
SUBJECT = f"gw {key_id(public_bytes(AGENT))}"


def role(signer: str, n: int, name: str = "recorder") -> bytes:
    return said(signer, "agent", SUBJECT, {"public_key": to_base64(public_bytes(AGENT)), "roles": [name]}, n)


def retire(signer: str, key: str, n: int = 0) -> bytes:
    return said(signer, "retire", KEY[key], {"reason": "stolen"}, n)


def test_a_retired_sealer_seals_no_more_and_the_next_one_does() -> None:
    builder = rotating(2)
    assert builder.seal_record(0, 0).entry.verdict == Verdict.ACCEPTED
    assert by(builder, sealer="sealer-2").seal_record(0, 1).entry.verdict == Verdict.ACCEPTED, "both, while it is not retired"
    builder.record(0, retire("operator", "sealer"))
    by(builder, sealer="sealer")
    assert [builder.seal_record(shard, epoch).entry.verdict for shard, epoch in ((0, 2), (0, 2**62), (1, 0))] == [
        Verdict.REVOKED_KEY,
        Verdict.REVOKED_KEY,
        Verdict.ACCEPTED,
    ], "in this shard, from here on"
    assert by(builder, sealer="sealer-2").seal_record(0, 2).entry.verdict == Verdict.ACCEPTED


def test_a_retired_operator_says_no_more() -> None:
    builder = rotating()
    agent = builder.enrol("gw", 0)
    assert builder.record(0, retire("operator-2", "operator")).entry.verdict == Verdict.ACCEPTED
    verdicts = [
        builder.revoke(agent).entry.verdict,
        builder.directive(0, "agent", "gw x", {}).entry.verdict,
        builder.directive(0, "rules", "", {"level": 3}, 9).entry.verdict,
        builder.directive(0, "retire", KEY["operator"], {}, 9).entry.verdict,
        builder.erase(0, [(1, 0)]).entry.verdict,
    ]
    assert verdicts == [Verdict.REVOKED_KEY] * 5
    assert builder.segment(agent, 1).entry.verdict == Verdict.ACCEPTED, "whom it enrolled before speaks on"
    assert by(builder, operator="operator-2").revoke(agent).entry.verdict == Verdict.ACCEPTED


def test_a_thief_cannot_retire_the_key_that_follows_nor_undo_it() -> None:
    builder = rotating()
    assert builder.record(0, retire("operator", "operator-2", 2**62)).entry.verdict == Verdict.UNKNOWN_KEY
    by(builder, operator="operator-2")
    assert builder.directive(0, "retire", KEY["operator"], {}).entry.verdict == Verdict.ACCEPTED
    assert builder.directive(0, "retire", KEY["operator-2"], {}).entry.verdict == Verdict.ACCEPTED, "itself it may"
    assert builder.directive(0, "weather", "", {}).entry.verdict == Verdict.REVOKED_KEY


def test_what_a_thief_numbered_too_high_hinders_nobody() -> None:
    builder = rotating()
    builder.record(0, role("operator", 2**63 - 1, "commander"))
    assert builder.record(0, role("operator-2", 1)).entry.verdict == Verdict.SEEN
    builder.record(0, retire("operator-2", "operator"))
    assert builder.record(0, role("operator-2", 1)).entry.verdict == Verdict.ACCEPTED
    assert builder.directive(0, "rules", "", {"level": 3}, 7).entry.verdict == Verdict.REVOKED_KEY, (
        "rules stay in force, and are still known"
    )


@pytest.mark.parametrize("key", ["operator", "sealer"])
def test_before_level_3_the_word_means_nothing(key: str) -> None:
    builder = rotating(level=2)
    assert builder.record(0, retire("operator-2", key)).entry.verdict == Verdict.ACCEPTED
    assert builder.record(0, retire("operator", "operator-2")).entry.verdict == Verdict.ACCEPTED
    assert builder.seal_record(0, 0).entry.verdict == Verdict.ACCEPTED
    assert builder.directive(0, "weather", "", {}).entry.verdict == Verdict.ACCEPTED


def test_a_history_over_both_rotations_verifies() -> None:
    builder = rotating(2)
    agent = builder.enrol("gw", 0)
    builder.segment(agent, 2)
    builder.seal()
    by(builder, sealer="sealer-2")
    for shard in range(2):
        builder.record(shard, retire("operator", "sealer"))
        builder.record(shard, retire("operator-2", "operator"))
    by(builder, operator="operator-2")
    builder.segment(agent, 2)
    builder.seal()
    report = verify_source(MemorySource(builder.history), builder.history.log, builder.history.now)
    assert (report.failures, report.exit_code) == ((), 0)


def test_a_checkpoint_over_what_a_thief_sealed_after_the_end_fails() -> None:
    """He keeps the retirement and goes on sealing with the stolen key, and signs what he sealed."""
    builder = rotating()
    builder.seal()
    builder.record(0, retire("operator", "sealer"))
    builder.seal()
    report = verify_source(MemorySource(builder.history), builder.history.log, builder.history.now)
    assert report.integrity == "fail"


def ring(*records: bytes) -> Keyring:
    made = Keyring.of((PUBLIC["operator"], PUBLIC["operator-2"]))
    for record in records:
        made.take(record)
    return made


def test_keyrings_know_the_same_in_any_order() -> None:
    records = [
        role("operator", 0),
        role("operator", 9, "commander"),
        role("operator-2", 3, "point"),
        retire("operator-2", "operator"),
        retire("operator", "sealer"),
    ]
    rings = [ring(*order) for order in permutations(records)]
    assert len({made.digest() for made in rings}) == 1
    for made in rings:
        [holder] = made
        assert (holder.roles, holder.n) == (frozenset({"point"}), 3)
        assert (made.retired(KEY["operator"]), made.retired(KEY["sealer"]), made.retired(KEY["operator-2"])) == (True, True, False)


def test_what_a_retired_operator_gave_and_nobody_said_again_is_gone() -> None:
    made = ring(role("operator", 0), said("operator", "adopt", "outbox", {}, 5))
    assert (len(made), made.adopts("outbox")) == (1, 5)
    made.take(retire("operator-2", "operator"))
    assert (len(made), made.adopts("outbox")) == (0, None)
    assert made.take(role("operator", 2**62, "commander")) is None
    assert len(made) == 0


def test_a_keyring_believes_no_retirement_by_the_key_before() -> None:
    made = ring()
    with pytest.raises(ParseError, match="may not retire"):
        made.take(retire("operator", "operator-2"))
    assert not made.retired(KEY["operator-2"])
    with pytest.raises(ParseError):
        made.take(retire("operator-2", "operator")[:-1])


def test_rings_without_a_retirement_have_the_digest_of_before() -> None:
    """Doors of the version before compare it: nothing of it changes until somebody retires a key."""
    from tallystick_schemas.encoding import digest

    made = ring(role("operator", 0))
    assert made.digest() == digest(digest(role("operator", 0))).hex()
