"""At level 3 the seal binds all of the state: a snapshot that differs in any field is thrown away, whoever signed it, and the ledger is folded."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.support.history import HistoryBuilder
from tests.support.signing import SNAPSHOTS, Speaker
from tests.support.world import Faults, MemoryLedger
from tests.unit.notary.test_core import insert
from tests.unit.notary.test_snapshots import changed

from tallystick_schemas.directives import level_in_force
from tallystick_schemas.envelope import Number, parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.fold import Parameters
from tallystick_schemas.state import Agent, Key, Run, Said, State, encode_state, parse_state
from tallystick_stream_jobs.errors import LedgerDisagrees
from tallystick_stream_jobs.notary.core import ShardNotary
from tallystick_stream_jobs.notary.restore import restore
from tallystick_stream_jobs.notary.snapshots import PLACE

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "history-3.json").read_bytes())
KEYS = {name: bytes.fromhex(key["public"]) for name, key in VECTOR["keys"].items()}
SHARD = VECTOR["shards"][1]
RECORDS = [(one["offset"], one["append_ms"], bytes.fromhex(one["record"])) for one in SHARD["records"]]
AT = next(at for at, one in enumerate(SHARD["records"]) if "segments 0 and 4 are missing" in one["name"])
PARAMETERS = Parameters.of(1, SHARD["origin"], (KEYS["operator"],), (KEYS["sealer"],))


def folded() -> MemoryLedger:
    """A ledger that ends at the seal of a run with two gaps, and a snapshot there: no entry behind it would tell a wrong state."""
    ledger = MemoryLedger(Faults())
    for part in (RECORDS[:AT], RECORDS[AT : AT + 1]):
        notary = ShardNotary(restore(ledger, PARAMETERS, SNAPSHOTS.open), ledger.accepted_header, SNAPSHOTS.sign)
        insert(ledger, notary.process(part))
    return ledger


def restored(ledger: MemoryLedger) -> State:
    return restore(ledger, PARAMETERS, SNAPSHOTS.open).state


LEDGER = folded()
INDEX, RAW = LEDGER.snapshots[1]
STATE = parse_claim(RAW).body
WANTED = restored(LEDGER)


def different(raw: bytes) -> bool:
    try:
        return parse_state(raw) != parse_state(STATE)
    except ParseError:
        return True


CHANGES = {place: raw for place, value in changed(msgspec.json.decode(STATE)) if different(raw := msgspec.json.encode(value))}


def test_the_true_snapshot_is_used(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert encode_state(restored(LEDGER)) == encode_state(WANTED)
    assert (INDEX, level_in_force(WANTED)) == (AT, 3)
    assert "0 entries folded again" in caplog.text


def test_every_field_is_among_those_that_are_changed() -> None:
    names = {part for place in CHANGES for part in place.replace(" left out", "").split(".")}
    for struct in (State, Agent, Key, Run, Said):
        assert {field.encode_name for field in msgspec.structs.fields(struct)} <= names, struct
    assert {
        f"agents.trainer.runs.{run}.missing.{gap}.{at}."
        for run in parse_state(STATE).agents["trainer"].runs
        for gap in (0, 1)
        for at in (0, 1)
    } <= set(CHANGES)


@pytest.mark.parametrize("place", CHANGES)
def test_a_notary_that_signs_another_state_gives_the_fold_no_other_past(place: str, caplog: pytest.LogCaptureFixture) -> None:
    ledger = folded()
    ledger.snapshots[1] = (INDEX, Speaker("notary").signer.sign(PLACE, b"1", Number(0, INDEX), CHANGES[place]))
    with caplog.at_level(logging.WARNING):
        assert encode_state(restored(ledger)) == encode_state(WANTED)
    assert "the snapshot is not used" in caplog.text


def test_a_state_of_rules_that_this_version_does_not_have_is_thrown_away(caplog: pytest.LogCaptureFixture) -> None:
    ledger = folded()
    state = STATE.replace(b'{\\"level\\":3}', b'{\\"level\\":9}')
    assert state != STATE
    ledger.snapshots[1] = (INDEX, Speaker("notary").signer.sign(PLACE, b"1", Number(0, INDEX), state))
    assert encode_state(restored(ledger)) == encode_state(WANTED)
    assert "level 9" in caplog.text


def test_a_snapshot_of_level_1_that_the_entries_behind_it_do_not_follow_is_thrown_away(caplog: pytest.LogCaptureFixture) -> None:
    """Before level 3 the seal does not bind public keys: what comes next does, and the notary goes on from the ledger."""
    builder = HistoryBuilder(1)
    agent = builder.enrol("trainer", 0)
    builder.seal()
    builder.segment(agent, 2)
    records = [(offset, append_ms, raw) for offset, (raw, append_ms) in enumerate(builder.history.records[0])]
    log = builder.history.log
    parameters = Parameters.of(0, log.origin(0), log.operator_keys, log.sealer_keys)
    ledger = MemoryLedger(Faults())
    insert(ledger, ShardNotary(restore(ledger, parameters, SNAPSHOTS.open), ledger.accepted_header, SNAPSHOTS.sign).process(records))
    index, raw = ledger.snapshots[0]
    wanted = restore(ledger, parameters, SNAPSHOTS.open).state
    state = parse_state(parse_claim(raw).body)
    for key in state.agents["trainer"].keys.values():
        key.public = bytes(32)
    ledger.snapshots[0] = (index, SNAPSHOTS.sign(state))
    assert encode_state(restore(ledger, parameters, SNAPSHOTS.open).state) == encode_state(wanted)
    assert "the snapshot is not used" in caplog.text


def test_a_ledger_that_disagrees_with_itself_still_stops_the_notary() -> None:
    ledger = folded()
    place = next(place for place in ledger.stored if place[1] == AT - 1)
    ledger.stored[place] = replace(ledger.stored[place], chain=bytes(32))
    del ledger.snapshots[1]
    with pytest.raises(LedgerDisagrees):
        restored(ledger)
