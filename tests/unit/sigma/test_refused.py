"""What cannot be compiled, or must not be: refused with the part named, and nothing but that error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.sigma import EXAMPLES, SHIPPED, compiled, correlation, plain, selection, without

from tallystick_stream_jobs.errors import RuleRefused
from tallystick_stream_jobs.sigma.parse import parse_rules
from tallystick_stream_jobs.sigma.rule import UserRule
from tallystick_stream_jobs.sigma.source import MAX_BYTES

COUNT = "type: event_count\nrules: [base]\ngroup-by: [user]\ntimespan: 1h\ncondition: {gte: 5}"


def refused(text: str | bytes) -> RuleRefused:
    with pytest.raises(RuleRefused) as caught:
        parse_rules("rule.yml", text if isinstance(text, bytes) else text.encode())
    return caught.value


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "part", "why"),
    [
        (b"#" * (MAX_BYTES + 1), "the file", "65,537 bytes"),
        (BOMB, "line 1", "anchors and aliases"),
        ("title: *nobody", "line 1", "aliases"),
        ("[" * 40 + "]" * 40, "line 1", "16 levels"),
        ("a: [" + "1, " * 6000 + "1]", "line 1", "5000 nodes"),
        ("---\na: 1\n" * 17, "line 33", "16 documents"),
        (b"title: \xff", "byte 7", "UTF-8"),
        ("title: x\ntitle: y", "line 2", "twice"),
        ("a: {", "line 1", "YAML"),
        ("!!python/object/apply:os.system [x]", "line 1", "could not determine a constructor"),
        ("a: " + "9" * 5000, "the file", "digits"),
        ("- a", "document 1", "mapping"),
        ("", "the file", "no rule"),
        ("action: global", "action", "write each rule out"),
        ("title: x", "detection", "not a mapping"),
        (without(selection("{action: x}"), "id"), "id", "UUID"),
        (without(selection("{action: x}"), "level"), "level", "informational"),
        (without(selection("{action: x}"), "tallystick"), "tallystick.examples", "list"),
        (selection("{action: x}").replace("product: tallystick", "product: windows"), "logsource", "product"),
        (selection("{action: x}").replace(EXAMPLES, "tallystick: {mode: 1}"), "tallystick", "`act` and `examples`"),
        (selection("{action: x}").replace("{examples", "{act: suspend, examples"), "tallystick.act", "at most for step-up"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "bytes",
)
def test_files(text: str | bytes, part: str, why: str) -> None:
    error = refused(text)
    assert error.part == part
    assert why in error.reason


@pytest.mark.parametrize(
    ("items", "part", "why"),
    [
        ("{CommandLine: x}", "detection.sel.CommandLine", "'CommandLine' is not one that events have"),
        ("{action|base64: x}", "detection.sel.action|base64", "'base64' is not supported"),
        ("{part|windash|contains: x}", "detection.sel.part|windash|contains", "'windash'"),
        ("{part|re|contains: x}", "detection.sel.part|re|contains", "'contains' is not supported with re"),
        ("{part|expand: '%x%'}", "detection.sel.part|expand", "'expand'"),
        ("[a, b]", "detection.sel", "keywords"),
        ("{}", "detection.sel", "keywords"),
        ("{part: [[a]]}", "detection.sel.part", "list is not a value"),
        ("{part|re: '(a+)+$'}", "detection, field part", "exponential"),
        ("{part|re: '(a|b*)*c'}", "detection, field part", "exponential"),
        (r"{part|re: '([)]+|x){5,}'}", "detection, field part", "exponential"),
        (r"{part|re: '(a)\1'}", "the rule", "invalid"),
        ("{part|re: '(?=a)b'}", "the rule", "invalid"),
        ("{part|re: '" + "a" * 600 + "'}", "detection, field part", "600 characters"),
        ("{part: '" + "a" * 1100 + "'}", "detection, field part", "longer than 512"),
        ("{part: [" + "a, " * 501 + "b]}", "detection", "502 values"),
        ("{part|cidr: 10.0.0.0/8}", "detection, field part", "source.ip alone"),
        ("{ip|cidr: 10.0.0.1/8}", "the rule", "host bits"),
        ("{part|gt: 5}", "detection, field part", "does not fit the text field"),
        ("{bytes|gt: 1.5}", "detection, field bytes", "whole number"),
        ("{bytes: many}", "detection, field bytes", "does not fit the number field"),
        ("{mfa: 1}", "detection, field mfa", "does not fit the flag field"),
        ("{part|fieldref: bytes}", "detection, field part", "one kind"),
        ("{part|fieldref: nothing}", "detection, field part", "'nothing'"),
    ],
)
def test_selections(items: str, part: str, why: str) -> None:
    error = refused(selection(items))
    assert error.part == part
    assert why in error.reason


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("nobody", "not defined"),
        ("sel |count() > 5", "deprecated"),
        ("1 of no*", "doesn't match"),
        ("(" * 17 + "sel" + ")" * 17, "16 brackets"),
    ],
)
def test_conditions(condition: str, why: str) -> None:
    error = refused(plain(f"sel: {{action: x}}\ncondition: {condition}", more=EXAMPLES))
    assert error.part == "detection.condition"
    assert why in error.reason


@pytest.mark.parametrize(
    ("old", "new", "part", "why"),
    [
        ("timespan: 1h", "timespan: 1y", "correlation.timespan", "30 days"),
        ("timespan: 1h", "timespan: 10s", "correlation.timespan", "1 minute"),
        ("timespan: 1h", "timespan: soon", "correlation", "invalid"),
        ("group-by: [user]", "group-by: [country]", "correlation.group-by", "actor.principal (or `user`) must be in it"),
        ("group-by: [user]", "", "correlation.group-by", "must be in it"),
        ("group-by: [user]", "group-by: [user, roles]", "correlation.group-by", "actor.roles is a list"),
        ("group-by: [user]", "group-by: [user, Image]", "correlation.group-by", "'Image'"),
        ("gte: 5", "lt: 5", "correlation.condition", "lt is not supported"),
        ("gte: 5", "eq: 5", "correlation.condition", "eq is not supported"),
        ("gte: 5", "gte: 0", "correlation.condition", "from 1 to"),
        ("gte: 5", "gte: 1.5", "correlation.condition", "whole number"),
        ("rules: [base]", "rules: [other]", "correlation.rules", "'other'"),
        ("rules: [base]", "rules: []", "correlation.rules", "between 1 and 8"),
        ("event_count", "value_median", "correlation", "without field reference"),
        ("event_count", "near", "correlation", "no valid"),
        ("timespan: 1h", "timespan: 1h\naliases: {a: {base: user}}", "correlation.aliases", "not needed"),
        ("type: event_count", "type: temporal_ordered", "correlation.condition", "from 1 to 1"),
        ("condition: {gte: 5}", "", "correlation", "without condition"),
    ],
)
def test_correlations(old: str, new: str, part: str, why: str) -> None:
    error = refused(correlation(COUNT.replace(old, new)))
    assert error.part == part
    assert why in error.reason


@pytest.mark.parametrize(
    ("field", "kind", "why"),
    [
        ("roles", "value_count", "is a list"),
        ("part", "value_sum", "numbers can be summed"),
        ("[part, ip]", "value_count", "one field"),
        ("x", "value_count", "'x'"),
    ],
)
def test_values(field: str, kind: str, why: str) -> None:
    text = COUNT.replace("event_count", kind).replace("{gte: 5}", f"{{gte: 5, field: {field}}}")
    error = refused(correlation(text))
    assert (error.part, why in error.reason) == ("correlation.condition.field", True)


@pytest.mark.parametrize(
    ("examples", "part", "why"),
    [
        ("[]", "tallystick.examples", "list"),
        ("[{expect: true, events: [{}]}]", "tallystick.examples", "`expect: false`"),
        ("[{expect: maybe, events: [{}]}]", "tallystick.examples[1]", "`expect: true`"),
        ("[{expect: true, events: []}]", "tallystick.examples[1].events", "list of events"),
        ("[{expect: true, events: [{bytes: -1}]}]", "tallystick.examples[1].events[1]", "bytes"),
        ("[{expect: true, events: [{action: steal}]}]", "tallystick.examples[1].events[1]", "vocabulary"),
        ("[{expect: true, events: [{Image: x}]}]", "tallystick.examples[1].events[1].Image", "not a field"),
        ("[{expect: true, events: [{repeat: 2001}]}]", "tallystick.examples[1].events[1]", "2,000 events"),
        ("[{expect: true, events: [{at: -1}]}]", "tallystick.examples[1].events[1]", "seconds from 0"),
    ],
)
def test_examples(examples: str, part: str, why: str) -> None:
    error = refused(selection("{action: x}").replace(EXAMPLES, f"tallystick: {{examples: {examples}}}"))
    assert error.part == part
    assert why in error.reason


@given(st.sampled_from(sorted(SHIPPED.glob("*.yml"))), st.data())
def test_a_mutilated_file_is_read_or_refused(path: object, data: st.DataObject) -> None:
    """Any text at any place of a good file: rules, or RuleRefused; never another error."""
    text = path.read_text()  # type: ignore[attr-defined]
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 40)))
    piece = data.draw(
        st.sampled_from(["", "\n", ": ", "- ", "[", "{", "null", "1e400", "'", "*", "|", "true", "2026-02-30", "\t", "?"])
        | st.text(max_size=4)
    )
    with contextlib.suppress(RuleRefused):
        rules = parse_rules("rule.yml", (text[:at] + piece + text[until:]).encode("utf-8", "surrogatepass"))
        # What was read can be used, under the id that findings call it by.
        assert [UserRule(one).meta.id for one in rules] == [f"U-{one.sigma_id[:8]}" for one in rules]


def test_the_sentence_names_file_part_and_reason() -> None:
    assert str(refused(selection("{Image: x}"))).startswith("rule.yml: detection.sel.Image: the field 'Image' is not one")
    assert compiled(selection("{action: x}")).meta.id == "U-00000000"
