"""`audit verify` over directives: how many there are, since when the newer rules hold, and every way in which one is changed, hidden or slipped in."""

from collections.abc import Callable

import pytest
from tests.support.history import History, HistoryBuilder, private_key, public_bytes, rewrite_tail
from tests.support.history_source import MemorySource
from tests.support.tampering import recompute_hashes, sign_again

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.report import RulesInForce
from tallystick_infra.cli.audit_view import show_report
from tallystick_schemas.encoding import digest
from tallystick_schemas.entries import Entry, encode_entry, entry_leaf, parse_entry
from tallystick_schemas.fold import NO_SIGNATURE
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import frame_record, parse_record
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.verdicts import Verdict

RULES, GIVEN, TAKEN = 2, 3, 6
"""Indexes in shard 0; the generation is 0, the enrolment 1, segments 4 and 7, seals 5 and 8. Shard 1 has no directive."""
SUBJECT = f"gw {key_id(public_bytes(private_key('gw')))}"


def made() -> HistoryBuilder:
    builder = HistoryBuilder(2)
    agent = builder.enrol("gw", 0)
    builder.directive(0, "rules", "", {"level": 2})
    builder.directive(0, "agent", SUBJECT, {"roles": ["point"]})
    builder.segment(agent, 2)
    builder.seal()
    builder.directive(0, "agent", SUBJECT, {"roles": ["point"], "state": "revoked"}, 1)
    builder.segment(agent, 2)
    builder.seal()
    return builder


def judged(history: History) -> Report:
    return verify_source(MemorySource(history), history.log, history.now)


def places(report: Report) -> list[tuple[int, int | None, int | None]]:
    return [(failure.step, failure.shard, failure.index) for failure in report.failures]


def entry_of(history: History, index: int) -> tuple[int, Entry]:
    at = next(number for number, row in enumerate(history.entries) if row[:2] == (0, index))
    return at, parse_entry(history.entries[at][2])


def put(history: History, index: int, entry: Entry) -> None:
    """Another entry at its place, all hashes of the shard made to fit, and all of it signed again by the sealer, who is in on it."""
    at, _ = entry_of(history, index)
    raw = encode_entry(entry)
    history.entries[at] = (0, index, raw, entry_leaf(raw), history.entries[at][4])
    recompute_hashes(history, 0)
    sign_again(history, private_key("sealer"))


def test_the_report_says_how_many_there_are_and_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    history = made().history
    report = judged(history)
    assert (report.failures, report.exit_code, report.directives) == ((), 0, 3)
    since = wire_time(entry_of(history, RULES)[1].append_ms / 1000)
    assert report.rules == (RulesInForce(0, 2, RULES, since), RulesInForce(1, 1))
    told = report.to_json()
    assert (told["directives"], told["rules"][1]) == (3, {"shard": 1, "level": 1, "index": None, "since": None})
    assert told["rules"][0] == {"shard": 0, "level": 2, "index": RULES, "since": since}
    show_report(report)
    assert f"3 directives; 1 of 2 shards by the rules of level 2, the last since {since[:19]}Z" in capsys.readouterr().out


def test_a_shard_of_the_commit_before_goes_on_by_the_rules_of_level_3() -> None:
    """Level 2 up to the record of its operator, the newest from there on; and both are folded again by who verifies."""
    builder = made()
    at = builder.directive(0, "rules", "", {"level": 3}, 1).index
    builder.segment(builder.enrol("late", 0), 2)
    builder.seal()
    report = judged(builder.history)
    assert (report.failures, report.exit_code) == ((), 0)
    assert [(one.level, one.index) for one in report.rules] == [(3, at), (1, None)]


def test_a_history_without_any_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    builder = HistoryBuilder(1)
    builder.seal()
    report = judged(builder.history)
    assert (report.directives, report.rules) == (0, (RulesInForce(0, 1),))
    show_report(report)
    assert "0 directives; all shards by the rules of level 1" in capsys.readouterr().out


def change_value(history: History) -> None:
    _, entry = entry_of(history, TAKEN)
    put(history, TAKEN, entry._replace(header=entry.header.replace(b"revoked", b"active!")))


def change_number(history: History) -> None:
    _, entry = entry_of(history, TAKEN)
    put(history, TAKEN, entry._replace(header=entry.header.replace(b'"n":1', b'"n":9')))


def call_it_seen(history: History) -> None:
    _, entry = entry_of(history, TAKEN)
    put(history, TAKEN, entry._replace(verdict=Verdict.SEEN))


def call_it_forged(history: History) -> None:
    _, entry = entry_of(history, TAKEN)
    put(history, TAKEN, entry._replace(verdict=Verdict.BAD_SIGNATURE))


def hide(history: History, index: int) -> None:
    """As if it had never been a record; its bytes are kept, as they must be."""
    _, entry = entry_of(history, index)
    raw = frame_record(entry.kind, entry.header, entry.sig, b"")
    header = b'{"length":%d,"sha256":"%b"}' % (len(raw), digest(raw).hex().encode())
    history.rejected.append((0, index, raw))
    put(history, index, entry._replace(kind=0, verdict=Verdict.MALFORMED, header=header, sig=NO_SIGNATURE))


def by_another(history: History) -> None:
    """In the same place, by a key that nobody pinned."""
    thief = private_key("thief")
    header = Directive(1, key_id(public_bytes(thief)), wire_time(history.now), "agent", SUBJECT, 1, {"roles": ["responder"]})
    record = parse_record(sign_record(header, thief))
    put(history, TAKEN, entry_of(history, TAKEN)[1]._replace(header=record.header_raw, sig=record.sig))


def before_the_rules(history: History) -> None:
    """The first directive about an agent where the rules were."""
    put(history, RULES, entry_of(history, GIVEN)[1]._replace(offset=entry_of(history, RULES)[1].offset))


@pytest.mark.parametrize(
    ("change", "found", "why"),
    [
        (change_value, (5, 0, TAKEN), "bad-signature"),
        (change_number, (5, 0, TAKEN), "bad-signature"),
        (call_it_seen, (5, 0, TAKEN), "the fold says accepted"),
        (call_it_forged, (5, 0, TAKEN), "the fold says accepted"),
        (lambda history: hide(history, RULES), (5, 0, RULES), "not the one that the entry is about"),
        (lambda history: hide(history, TAKEN), (5, 0, TAKEN), "not the one that the entry is about"),
        (by_another, (5, 0, TAKEN), "unknown-key"),
        (before_the_rules, (5, 0, RULES), "before the one that puts directives in force"),
    ],
    ids=["value", "number", "seen", "forged", "rules hidden", "hidden", "by another operator", "before the rules"],
)
def test_a_notary_that_lies_with_the_sealers_help_is_found(
    change: Callable[[History], None], found: tuple[int, int, int], why: str
) -> None:
    history = made().history
    change(history)
    report = judged(history)
    assert report.integrity == "fail"
    assert found in places(report)
    assert why in next(failure.reason for failure in report.failures if (failure.step, failure.shard, failure.index) == found)


@pytest.mark.parametrize("dropped", [RULES, GIVEN, TAKEN])
def test_a_directive_that_is_removed_is_found_at_the_next_signed_root(dropped: int) -> None:
    history = made().history
    rewrite_tail(history, 0, dropped)
    report = judged(history)
    assert report.integrity == "fail"
    assert any(step == 3 and shard == 0 and (index or 0) >= dropped for step, shard, index in places(report))


def test_rules_of_a_later_version_are_told_and_nothing_after_them_is_judged() -> None:
    """No fault of the history: this verifier is too old for it."""
    history = made().history
    operator = private_key("operator")
    header = Directive(1, key_id(public_bytes(operator)), wire_time(history.now), "rules", "", 1, {"level": 4})
    record = parse_record(sign_record(header, operator))
    put(history, TAKEN, entry_of(history, TAKEN)[1]._replace(header=record.header_raw, sig=record.sig))
    report = judged(history)
    [failure] = [one for one in report.failures if one.step == 5]
    assert (failure.index, failure.outcome, report.integrity, report.completeness) == (TAKEN, "unknown", "unknown", "unknown")
    assert "the rules of level 4" in failure.reason
    assert report.exit_code == 2
