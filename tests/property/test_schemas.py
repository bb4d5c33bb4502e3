"""Laws of the record format: any bytes are a value or the one parse error; what is written comes back; the fold is a function."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick_schemas.checkpoints import parse_checkpoint, parse_topology
from tallystick_schemas.encoding import to_base64, to_base64url
from tallystick_schemas.entries import encode_entry, parse_entry
from tallystick_schemas.errors import OffsetWentBack, ParseError
from tallystick_schemas.events import Actor, Event, Resource, encode_event, parse_event
from tallystick_schemas.facts import parse_facts
from tallystick_schemas.fold import Fold, Parameters, fold, initial_state
from tallystick_schemas.headers import Enrol, Generation, Kind, Seal, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import parse_batch, parse_finding, parse_lock
from tallystick_schemas.notes import parse_note
from tallystick_schemas.receipts import Receipt, encode_receipts, parse_receipt, parse_receipts
from tallystick_schemas.records import parse_record
from tallystick_schemas.segments import SegmentSigner, new_run
from tallystick_schemas.signing import sign_record
from tallystick_schemas.state import encode_state, parse_state
from tallystick_schemas.state_digest import state_digest
from tallystick_schemas.verdicts import Verdict

TIME = "2026-11-23T04:00:00.000000Z"
OPERATOR = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SEALER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
AGENT = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
OPERATOR_PUBLIC, SEALER_PUBLIC, AGENT_PUBLIC = (key.public_key().public_bytes_raw() for key in (OPERATOR, SEALER, AGENT))
PARAMETERS = Parameters.of(0, "test/shard/0", (OPERATOR_PUBLIC,), (SEALER_PUBLIC,))
RUN = new_run(1_000, b"r" * 8)

PARSERS = {
    "event": parse_event,
    "record": parse_record,
    "entry": parse_entry,
    "receipt": parse_receipt,
    "receipts": parse_receipts,
    "state": parse_state,
    "facts": parse_facts,
    "batch": parse_batch,
    "finding": parse_finding,
    "lock": lambda raw: parse_lock(b"principal:x", raw),
    "note": parse_note,
    "topology": parse_topology,
    "checkpoint": lambda raw: parse_checkpoint(raw.decode("utf-8", "replace")),
    **{f"header {kind.name}": (lambda raw, kind=kind: parse_header(kind, raw)) for kind in Kind if kind},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["v", "time", "actor", "n", "x"]), inner, max_size=4),
    max_leaves=8,
)


def event(number, principal="alice@example.org"):
    salt = to_base64url(number.to_bytes(16, "big"))
    return encode_event(Event(1, salt, TIME, "artifact.read", Actor(principal, "human"), Resource("model", f"m/{number}"), "allowed"))


def enrolment():
    return sign_record(Enrol(1, key_id(OPERATOR_PUBLIC), TIME, "agent-1", to_base64(AGENT_PUBLIC), "team"), OPERATOR)


def records(count=4, per_segment=2):
    """A short true history: generation, enrolment, segments, a seal."""
    operator = key_id(OPERATOR_PUBLIC)
    signer = SegmentSigner("agent-1", AGENT, RUN)
    segments = [signer.sign([event(per_segment * n + k) for k in range(per_segment)], TIME).record for n in range(count)]
    generation = sign_record(Generation(1, operator, TIME, 0, "topic", 0, -1), OPERATOR)
    return [generation, enrolment(), *segments, sign_record(Seal(1, key_id(SEALER_PUBLIC), TIME, 0), SEALER)]


def run_fold(raws):
    machine = Fold(PARAMETERS)
    return machine, [machine.fold(raw, offset, 1_000 + offset) for offset, raw in enumerate(raws)]


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(raw=st.binary(max_size=300) | JSON.map(msgspec.json.encode) | st.binary(max_size=60).map(lambda b: b"TSG1" + b))
def test_any_bytes_are_a_value_or_a_parse_error(name, raw):
    try:
        value = PARSERS[name](raw)
    except ParseError:
        return
    assert value is not None


@given(st.lists(st.builds(Receipt, *[st.text()] * 2, *[st.integers(0, 1 << 53)] * 4, *[st.text()] * 2), max_size=5))
def test_receipts_come_back_in_their_order(receipts):
    assert parse_receipts(encode_receipts(receipts)) == receipts


@given(st.data())
def test_a_damaged_record_is_never_accepted_in_full(data):
    raws = records()
    at = data.draw(st.integers(2, 5))
    place = data.draw(st.integers(0, len(raws[at]) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(raws[at])
    damaged[place] ^= 1 << bit
    _, good = run_fold(raws)
    _, steps = run_fold([*raws[:at], bytes(damaged), *raws[at + 1 :]])
    assert [s.entry.verdict for s in good] == [Verdict.ACCEPTED] * len(raws)
    assert not steps[at].entry.verdict.accepted


@given(st.permutations(range(2, 6)))
def test_the_fold_is_deterministic_and_order_sensitive(order):
    raws = records()
    shuffled = [raws[0], raws[1], *(raws[n] for n in order), raws[-1]]
    machine, first = run_fold(shuffled)
    again, second = run_fold(shuffled)
    assert [s.raw for s in first] == [s.raw for s in second]
    assert encode_state(machine.state) == encode_state(again.state)
    straight, _ = run_fold(raws)
    assert (machine.state.chain == straight.state.chain) == (list(order) == [2, 3, 4, 5])


def test_the_pure_form_leaves_the_given_state_alone():
    state = initial_state(PARAMETERS)
    before = encode_state(state)
    after, step = fold(PARAMETERS, state, records()[0], 0, 1_000)
    assert encode_state(state) == before
    assert after.index == 0 == step.index


def test_entries_fold_again_to_the_same_bytes():
    raws = [*records(), b"garbage", enrolment()]
    _, steps = run_fold(raws)
    machine = Fold(PARAMETERS)
    bodies = {step.index: step.body for step in steps}
    for step in steps:
        entry = parse_entry(step.raw)
        assert encode_entry(entry) == step.raw
        again = machine.refold(entry, lambda _, index=step.index: bodies[index])
        assert (again.raw, again.leaf, again.chain) == (step.raw, step.leaf, step.chain)
    assert [int(s.entry.verdict) for s in steps] == [0] * 7 + [8, 2]


def test_a_snapshot_is_the_state():
    machine, _ = run_fold(records())
    state = parse_state(encode_state(machine.state))
    assert state_digest(state) == state_digest(machine.state)
    assert encode_state(state) == encode_state(machine.state)


def test_a_gap_opens_and_fills():
    raws = records()
    machine, steps = run_fold([raws[0], raws[1], raws[2], raws[4], raws[3], raws[3], raws[5]])
    assert [int(s.entry.verdict) for s in steps] == [0, 0, 0, 1, 1, 2, 0]
    assert machine.state.agents["agent-1"].runs[RUN].missing == []


def test_two_segments_under_one_number_are_a_fork():
    one, other = (SegmentSigner("agent-1", AGENT, RUN) for _ in range(2))
    raws = [enrolment(), one.sign([event(1)], TIME).record, other.sign([event(2)], TIME).record]
    _, steps = run_fold(raws)
    assert [s.entry.verdict for s in steps] == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.FORK]


def test_offsets_that_go_back_unannounced_stop_the_fold():
    machine, _ = run_fold(records())
    with pytest.raises(OffsetWentBack, match="no generation record"):
        machine.fold(enrolment(), 0, 5_000)
    announced = sign_record(Generation(1, key_id(OPERATOR_PUBLIC), TIME, 1, "topic-2", 0, 6), OPERATOR)
    step = machine.fold(announced, 0, 5_000)
    assert step.entry.verdict == Verdict.ACCEPTED
    assert step.entry.generation == 1


FLAWS = {
    "duplicate-key": b'{"v":1,"v":1,',
    "nul-character": b'{"attrs":{"x":"\\u0000"},"v":1,',
    "lone-surrogate": b'{"attrs":{"x":"\\ud800"},"v":1,',
    "raw-newline": b'{\n"v":1,',
    "deep-nesting": b'{"x":' + b"[" * 9 + b"]" * 9 + b',"v":1,',
    "float-count": b'{"usage":{"bytes":1.5},"v":1,',
    "negative-count": b'{"usage":{"bytes":-1},"v":1,',
    "bad-action": b'{"action":"artifact.steal","v":1,',
    "version-2": b'{"v":2,',
}


@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_events_named_after_their_flaw(flaw):
    raw = event(1)
    parse_event(raw)
    start = FLAWS[flaw]
    rest = raw.removeprefix(b'{"v":1,')
    if flaw == "bad-action":
        rest = rest.replace(b'"action":"artifact.read",', b"")
    with pytest.raises(ParseError):
        parse_event(start + rest)


def test_other_writers_spacing_is_valid_and_unknown_fields_are_kept():
    raw = event(1).replace(b'":', b'" : ').replace(b'{"v"', b'{"future": {"a": [1, 2]}, "v"')
    assert parse_event(raw).resource.id == "m/1"
