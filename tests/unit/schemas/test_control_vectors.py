"""history-2 and messages, read as a foreign implementation would read them: what directives do to a shard, and which messages are somebody's word."""

import json
import re
from typing import Any

import pytest
from tests.vectors.make import FOLDER

from tallystick_schemas import errors
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import FoldError, ParseError
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.headers import Kind
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import LockHeartbeat
from tallystick_schemas.records import parse_record
from tallystick_schemas.roles import Keyring
from tallystick_schemas.state import copy_state, encode_state
from tallystick_schemas.verdicts import Verdict

HISTORY: dict[str, Any] = json.loads((FOLDER / "history-2.json").read_bytes())
MESSAGES: dict[str, Any] = json.loads((FOLDER / "messages.json").read_bytes())
KEYS = {name: (bytes.fromhex(key["public"]),) for name, key in HISTORY["keys"].items()}
STEPS = {
    1: r"not signed|cut off|ends within|has \d+ bytes|not ASCII|at most|too long|beyond|are signed",
    2: "to which no operator gave a role",
    3: "which an operator revoked",
    4: "may say nothing on",
    5: "the signature does not fit",
    6: "signed another body",
}


def folded(shard: dict[str, Any]) -> Fold:
    machine = Fold(Parameters.of(shard["shard"], shard["origin"], KEYS["operator"], KEYS["sealer"]))
    for row in shard["records"]:
        machine.fold(bytes.fromhex(row["record"]), row["offset"], row["append_ms"])
    return machine


def test_a_shard_without_rules_has_no_directive_and_one_with_them_keeps_the_newest() -> None:
    first, second = map(folded, HISTORY["shards"])
    assert second.state.directives == {}
    said = {place: known.n for place, known in first.state.directives.items()}
    trainer = HISTORY["agents"][0]["id"]
    assert said == {"rules ": 1, f"agent trainer {trainer}": 5, "adopt detectors": 0, "weather ": 0, "weather nested to level 8": 0}


def test_every_verdict_that_a_directive_can_have_occurs() -> None:
    kinds = {row["verdict"] for row in HISTORY["shards"][0]["records"] if row["record"][8:10] == "07"}
    assert kinds == {0, 2, 4, 5, 7, 8, 9}


def test_before_the_rules_every_directive_is_malformed_and_after_them_none_for_that() -> None:
    rows = HISTORY["shards"][0]["records"]
    at = next(index for index, row in enumerate(rows) if row["name"] == "rules")
    assert {row["verdict"] for row in rows[:at] if row["record"][8:10] == "07"} == {Verdict.MALFORMED}
    good = [row for row in rows[at:] if row["verdict"] in (0, 2) and row["record"][8:10] == "07"]
    assert {parse_record(bytes.fromhex(row["record"])).kind for row in good} == {Kind.DIRECTIVE}


@pytest.mark.parametrize("stop", HISTORY["stops_the_fold"], ids=lambda stop: stop["name"])
def test_rules_that_this_version_does_not_have_stop_the_fold_and_change_nothing(stop: dict[str, Any]) -> None:
    machine = folded(HISTORY["shards"][stop["shard"]])
    before = encode_state(machine.state)
    with pytest.raises(getattr(errors, stop["error"])) as stopped:
        machine.fold(bytes.fromhex(stop["record"]), stop["offset"], stop["append_ms"])
    assert isinstance(stopped.value, FoldError)
    assert encode_state(machine.state) == before


@pytest.mark.parametrize("shard", HISTORY["shards"], ids=lambda shard: shard["origin"])
def test_a_fold_from_any_snapshot_ends_in_the_same_state(shard: dict[str, Any]) -> None:
    whole, machine = folded(shard), Fold(Parameters.of(shard["shard"], shard["origin"], KEYS["operator"], KEYS["sealer"]))
    for row in shard["records"]:
        machine = Fold(machine.parameters, copy_state(machine.state))
        machine.fold(bytes.fromhex(row["record"]), row["offset"], row["append_ms"])
    assert encode_state(machine.state) == encode_state(whole.state)


def opener() -> Opener:
    ring = Keyring.of((bytes.fromhex(MESSAGES["operator"]["public"]),))
    for raw in MESSAGES["directives"]:
        ring.take(bytes.fromhex(raw))
    for raw in MESSAGES["forged_directives"]:
        with pytest.raises(ParseError, match="not pinned"):
            ring.take(bytes.fromhex(raw))
    return Opener(MESSAGES["deployment"], ring)


def place(case: dict[str, Any]) -> tuple[str, bytes | None, bytes]:
    return case["topic"], None if case["key"] is None else bytes.fromhex(case["key"]), bytes.fromhex(case["value"])


@pytest.mark.parametrize("case", MESSAGES["good"], ids=lambda case: case["name"])
def test_good_messages(case: dict[str, Any]) -> None:
    opened = opener().open(*place(case))
    assert (opened.holder.agent, *opened.number, opened.body.hex()) == (case["agent"], case["fence"], case["n"], case["body"])


@pytest.mark.parametrize("case", MESSAGES["bad"], ids=lambda case: case["name"])
def test_bad_messages_stop_at_their_step(case: dict[str, Any]) -> None:
    with pytest.raises(ParseError) as refused:
        opener().open(*place(case))
    assert [step for step, words in STEPS.items() if re.search(words, str(refused.value))] == [case["step"]], str(refused.value)


def test_the_topic_of_locks_and_its_heartbeat() -> None:
    told = MESSAGES["locks"]
    topic = LockTopic(Opener(MESSAGES["deployment"], Keyring.of((bytes.fromhex(MESSAGES["operator"]["public"]),))))
    refused = []
    for row in told["values"]:
        try:
            topic.take(bytes.fromhex(row["key"]), None if row["value"] is None else bytes.fromhex(row["value"]))
        except ParseError:
            refused.append(row["name"])
    assert refused == ["the lock again: too late", "a word of the owner before", "nobody's word"]
    assert sorted(held.lock.command for held in topic.held.values() if held.lock.state == "locked") == told["locked"] == ["c-1", "c-2"]
    beat = topic.take(bytes.fromhex(told["heartbeat"]["key"]), bytes.fromhex(told["heartbeat"]["value"]))
    assert beat == LockHeartbeat(**told["heartbeat"]["body"])
    assert isinstance(beat, LockHeartbeat)
    assert topic.agrees(beat)
