"""Laws of directives in the fold: before the rules none of them is there, after them the highest number is in force, and snapshots forget nothing."""

import json
from math import isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.property.test_schemas import OPERATOR, OPERATOR_PUBLIC, PARAMETERS, SEALER, records
from tests.support.odd_json import VALUES as ODD

from tallystick_schemas.bodies import EMPTY_BODY
from tallystick_schemas.directives import LEVEL, level_in_force, open_directive
from tallystick_schemas.encoding import digest
from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import ParseError, RulesUnknown
from tallystick_schemas.fold import NO_SIGNATURE, Fold
from tallystick_schemas.headers import Directive, Kind
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import frame_record, parse_record, signed_bytes
from tallystick_schemas.signing import sign_record
from tallystick_schemas.state import copy_state, encode_state, parse_state
from tallystick_schemas.state_digest import state_digest
from tallystick_schemas.strict_json import check_json
from tallystick_schemas.verdicts import Verdict

TIME = "2026-11-23T04:00:00.000000Z"
OPERATOR_ID = key_id(OPERATOR_PUBLIC)
SUBJECTS = st.sampled_from(["one", "two", "one two", "a\nkey agent-1 x active", ""])
ABOUTS = st.sampled_from(["agent", "adopt", "weather", "one-two"])
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
VALUES = st.dictionaries(st.text("abc", max_size=3), st.integers() | TEXTS | st.lists(st.booleans(), max_size=2), max_size=3)


def directive(about, subject, n, value, key=OPERATOR, signer=OPERATOR_ID):
    return sign_record(Directive(1, signer, TIME, about, subject, n, value), key)


def rules(n=0, level=2):
    return directive("rules", "", n, {"level": level})


def damaged(record, how, at):
    """The first rules, with one thing wrong."""
    body = parse_record(record)
    return {
        "cut": record[: at % len(record)],
        "longer": record + b"x",
        "body": record[:-4] + b"\x00\x00\x00\x01x",
        "signature": record[: 9 + len(body.header_raw)] + bytes(64) + record[-4:],
        "version": record.replace(b'"v":1', b'"v":2'),
        "stranger": directive("rules", "", 0, {"level": 2}, SEALER),
        "unpinned": directive("rules", "", 0, {"level": 2}, SEALER, "0" * 16),
    }[how]


HOWS = st.sampled_from(["cut", "longer", "body", "signature", "version", "stranger", "unpinned"])
NOT_YET = (
    st.builds(directive, ABOUTS, SUBJECTS, st.integers(0, 5), VALUES)
    | st.builds(damaged, st.just(rules()), HOWS, st.integers(5, 10_000))
    | st.binary(max_size=40).map(lambda tail: b"TSG1\x07" + tail)
)


def level_1(machine, raw, offset):
    """What every reader made of kind 7 before there were directives: no record (SPEC section 6, step 1, with kinds 1 to 6)."""
    header = b'{"length":%d,"sha256":"%b"}' % (len(raw), digest(raw).hex().encode())
    generation = max(machine.state.generation, 0)
    entry = Entry(0, PARAMETERS.shard, generation, offset, 1_000 + offset, Verdict.MALFORMED, header, NO_SIGNATURE, b"")
    return machine.refold(entry, lambda _: EMPTY_BODY)


@given(st.lists(NOT_YET, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_before_the_rules_a_history_is_what_it_was_without_directives(strange, random):
    mixed = records()
    for raw in strange:
        mixed.insert(random.randrange(len(mixed) + 1), raw)
    now, before = Fold(PARAMETERS), Fold(PARAMETERS)
    for offset, raw in enumerate(mixed):
        step = now.fold(raw, offset, 1_000 + offset)
        old = level_1(before, raw, offset) if raw in strange else before.fold(raw, offset, 1_000 + offset)
        assert (step.raw, step.chain) == (old.raw, old.chain)
    assert encode_state(now.state) == encode_state(before.state)
    assert now.state.directives == {}


@given(st.lists(st.builds(directive, ABOUTS, SUBJECTS, st.integers(0, 3), VALUES), max_size=8), st.data())
def test_after_the_rules_the_highest_number_is_in_force_whatever_else_comes_between(said, data):
    mixed = [records()[0], rules(), *data.draw(st.permutations([*records()[1:], *said]))]
    machine, newest = Fold(PARAMETERS), {}
    for offset, raw in enumerate(mixed):
        step = machine.fold(raw, offset, 1_000 + offset)
        if raw not in said:
            continue
        header = parse_record(raw).header
        place = f"{header.about} {header.subject}"
        fresh = header.n > newest.get(place, (-1, b""))[0]
        assert step.entry.verdict == (Verdict.ACCEPTED if fresh else Verdict.SEEN)
        if fresh:
            newest[place] = (header.n, parse_record(raw).header_raw.decode())
    found = {place: (one.n, one.header) for place, one in machine.state.directives.items() if not place.startswith("rules ")}
    assert found == newest


@given(st.lists(st.builds(directive, ABOUTS, SUBJECTS, st.integers(0, 3), VALUES) | st.just(rules(1)), max_size=6), st.data())
def test_a_snapshot_with_directives_is_the_state_and_entries_fold_again(said, data):
    mixed = [records()[0], *data.draw(st.permutations([rules(), *records()[1:], *said]))]
    whole, cut, again = Fold(PARAMETERS), data.draw(st.integers(0, len(mixed))), Fold(PARAMETERS)
    restored = whole
    for offset, raw in enumerate(mixed):
        if offset == cut:
            restored = Fold(PARAMETERS, parse_state(encode_state(whole.state)))
        step = whole.fold(raw, offset, 1_000 + offset)
        if restored is not whole:
            assert restored.fold(raw, offset, 1_000 + offset).raw == step.raw
        folded = again.refold(parse_entry(step.raw), lambda _: EMPTY_BODY)
        assert (folded.raw, folded.chain) == (step.raw, step.chain)
    assert encode_state(whole.state) == encode_state(restored.state) == encode_state(again.state)
    assert state_digest(copy_state(whole.state)) == state_digest(whole.state)


@given(st.lists(st.builds(directive, ABOUTS, SUBJECTS, st.integers(0, 3), VALUES), min_size=2, max_size=4))
def test_the_digest_tells_any_two_sets_of_directives_apart(said):
    """Subjects may hold spaces and newlines: no two states write the same lines."""
    machines = [Fold(PARAMETERS), Fold(PARAMETERS)]
    for machine, kept in zip(machines, (said, said[1:]), strict=True):
        for offset, raw in enumerate([rules(), *kept]):
            machine.fold(raw, offset, 1_000 + offset)
    first, second = (machine.state for machine in machines)
    assert (state_digest(first) == state_digest(second)) == (first.directives == second.directives)


@given(st.lists(st.integers(2, LEVEL), max_size=4), st.data())
def test_the_level_is_the_one_that_the_operators_record_put_there(levels, data):
    """Never what a sender writes, and the same after a snapshot and for who folds the entries again."""
    said = [rules(n, level) for n, level in enumerate(levels)]
    others = iter(records())
    mixed = [next(others), *(raw for one in said for raw in (one, next(others, one)))]
    machine, again, level = Fold(PARAMETERS), Fold(PARAMETERS), 1
    for offset, raw in enumerate(mixed):
        step = machine.fold(raw, offset, 1_000 + offset)
        again.refold(parse_entry(step.raw), lambda _: EMPTY_BODY)
        if raw in said:
            asked = levels[said.index(raw)]
            level = max(level, asked) if level >= 3 else asked  # from level 3 on there is no way back
        assert level_in_force(machine.state) == level_in_force(again.state) == level_in_force(copy_state(machine.state)) == level


def test_a_state_with_rules_of_a_later_version_has_no_level_here():
    machine = Fold(PARAMETERS)
    machine.fold(rules(), 0, 1_000)
    said = machine.state.directives["rules "]
    said.header = said.header.replace('{"level":2}', f'{{"level":{LEVEL + 1}}}')
    with pytest.raises(RulesUnknown, match=f"level {LEVEL + 1} in force, and this version has those up to level {LEVEL}"):
        level_in_force(machine.state)


def spelt(value, space):
    """A directive with this text as its value, signed."""
    text = f'{{"v":1,"key":"{OPERATOR_ID}","time":"{TIME}","about":"weather","subject":"","n":0,{space}"value":{{"x":{value}}}}}'
    raw = text.encode()
    return frame_record(Kind.DIRECTIVE, raw, OPERATOR.sign(signed_bytes(Kind.DIRECTIVE, raw)), b"")


def taken(raw, level):
    """Whether a shard at this level has a record in it, as its entry says."""
    machine = Fold(PARAMETERS)
    machine.fold(rules(0, level), 0, 1_000)
    return machine.fold(raw, 1, 1_001).entry.verdict == Verdict.ACCEPTED


def opened(raw):
    try:
        return open_directive(raw, PARAMETERS.operators).about == "weather"
    except ParseError:
        return False


@given(ODD)
@example("[" * 6 + "]" * 6)
@example("[" * 7 + "]" * 7)
@example("{" + '"a":{' * 6 + "}" * 7)
@example("1e999")
@example("18446744073709551616")
def test_what_a_directive_holds_is_refused_by_the_fold_and_by_who_acts_on_it_however_it_is_spelt(value):
    """The one form, in which nothing is written anew, proves nothing about a value: any JSON may stand there (SPEC section 2)."""
    try:
        check_json(b'{"value":{"x":' + value.encode() + b"}}")
        floats = []
        json.loads(value, parse_float=lambda text: floats.append(float(text)))
        plain = all(map(isfinite, floats))
    except ParseError:
        plain = False
    assert [taken(spelt(value, space), 2) for space in ("", " ")] == [plain, plain]
    strict = taken(spelt(value, ""), 3)
    assert [taken(spelt(value, " "), 3), opened(spelt(value, "")), opened(spelt(value, " "))] == [strict] * 3
    assert plain or not strict
