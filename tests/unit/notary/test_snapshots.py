"""A snapshot is a notary's word: whoever writes the table without a notary's key gives the fold no other past, whichever field he changes."""

import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from kafka.errors import KafkaTimeoutError
from tests.support.signing import DEPLOYMENT, SNAPSHOTS, Speaker, directive, keyring, snapshots
from tests.unit.notary.test_core import RECORDS, WHOLE, insert, notary_on, read, restored

from tallystick_schemas.envelope import Number, Opener, Signer, parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.state import State, encode_state, parse_state
from tallystick_stream_jobs.notary.snapshots import PLACE, SNAPSHOT_SIGNERS, Snapshots

INDEX, RAW = WHOLE.snapshots[0]
STATE = parse_claim(RAW).body


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """(place, value) with one leaf or one member changed, for every one of them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ((f"{name}.{place}", {**value, name: other}) for place, other in changed(inner))
            yield f"{name} left out", {other: one for other, one in value.items() if other != name}
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from ((f"{n}.{place}", [*value[:n], other, *value[n + 1 :]]) for place, other in changed(inner))
    elif isinstance(value, bool) or value is None:
        yield "", (not value) if value is not None else [0, 1]
    elif isinstance(value, int):
        yield "", value + 1
    else:
        yield "", ("A" if value[:1] != "A" else "B") + value[1:]


CHANGES = dict(changed(msgspec.json.decode(STATE)))


def row(state: bytes, speaker: Speaker | None) -> bytes:
    """What a writer of the table puts there: the true signature before another state, or a signature of his own."""
    if speaker is None:
        return RAW.replace(STATE, state)
    return speaker.signer.sign(PLACE, b"0", Number(0, INDEX), state)


@pytest.mark.parametrize("who", [None, "mallory", "detectors", "cli"])
def test_a_state_with_any_one_field_changed_is_nobodys_word(who: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """A changed public key let a stranger's segment in under another agent's name, when the seal's digest alone was compared."""
    assert {"epoch.", "chain.", "offset."} < set(CHANGES)
    assert any(place.endswith("public.") for place in CHANGES)
    ledger, _ = read([])
    speaker = None if who is None else Speaker(who)
    wanted = restored(WHOLE)
    with caplog.at_level(logging.WARNING):
        for state in CHANGES.values():
            ledger.snapshots[0] = (INDEX, row(msgspec.json.encode(state), speaker))
            assert restored(ledger) == wanted
    assert sum("the snapshot is not used" in record.message for record in caplog.records) == len(CHANGES)


def test_what_is_folded_from_a_snapshot_is_what_all_entries_give() -> None:
    ledger, _ = read([10])
    assert SNAPSHOTS.open(0, ledger.snapshots[0][1]).index == ledger.snapshots[0][0]
    insert(ledger, notary_on(ledger).process([]))
    assert restored(ledger) == restored(WHOLE)


def test_another_notary_takes_it_and_another_role_deployment_or_shard_does_not() -> None:
    def elsewhere(deployment: str) -> bytes:
        return Signer(deployment, "notary", Speaker("notary").signer.private_key).sign(PLACE, b"0", Number(0, INDEX), STATE)

    ring = keyring()
    ring.take(directive("notary.two", ["notary"]))
    other = Snapshots(Speaker("notary.two").signer, lambda: Opener(DEPLOYMENT, ring, SNAPSHOT_SIGNERS))
    assert encode_state(other.open(0, RAW)) == STATE
    for raw, shard in ((STATE, 0), (b"", 0), (elsewhere("other"), 0), (RAW, 1), (row(STATE, Speaker("responder")), 0)):
        with pytest.raises(ParseError):
            other.open(shard, raw)
        with pytest.raises(ParseError):
            SNAPSHOTS.open(shard, raw)


def test_a_revoked_notarys_snapshot_counts_for_nothing() -> None:
    ring = keyring()
    ring.take(directive("notary", n=2, revoked=True))
    other = Snapshots(Speaker("notary.two").signer, lambda: Opener(DEPLOYMENT, ring, SNAPSHOT_SIGNERS))
    with pytest.raises(ParseError, match="revoked"):
        other.open(0, RAW)


def test_a_broker_that_does_not_say_who_else_is_a_notary_costs_one_folding() -> None:
    def silent() -> Opener:
        raise KafkaTimeoutError("no answer")

    ledger, _ = read([])
    assert restored(ledger, Snapshots(Speaker("notary.two").signer, silent)) == restored(WHOLE)


def test_an_unsigned_snapshot_of_before_costs_one_folding_and_stops_nobody() -> None:
    ledger, _ = read([])
    ledger.snapshots[0] = (INDEX, STATE)
    assert restored(ledger) == restored(WHOLE)
    assert restored(ledger, snapshots("notary")).index == len(RECORDS) - 1
    assert isinstance(parse_state(STATE), State)
