"""What is shown of text from outside: nothing that acts, and all that people write."""

import json
import unicodedata

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick_schemas.shown import shown, shown_json, shown_lines

ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
JOINERS = "\u200c\u200d"
RISKY = st.sampled_from(
    "\x1b\x00\x07\x08\r\n\t\x7f\x85\x9b\x9d\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\ufe0f"
    "\u034f\u115f\u3164\ud800\ue000\U000e0001\U000e0041\U000e007f\U000e0100\U0010ffff\u00a0\u3000\u200a"
    "0#\u20e3\u2764\U0001f468\U0001f3fd\u0915\u094d\u0937\u0646\u06cc\u0631a\\[]"
)
ANY = st.text(st.one_of(RISKY, st.characters()), max_size=40)


@given(ANY)
@example("a\u094d\u200c\u3164")
@example("\u2764\ufe0f\ufe0f")
@example("1\ufe0f\u20e3")
@example("\U0001f468\ufe0f\u200d\U0001f468")
def test_nothing_acts_and_what_was_shown_is_shown_the_same(text: str) -> None:
    once = shown(text)
    assert shown(once) == once
    for at, char in enumerate(once):
        if char in JOINERS:
            assert 0 < at < len(once) - 1, "a joiner joins two things"
            assert unicodedata.category(once[at - 1])[0] in "LMS"
        else:
            assert unicodedata.category(char) not in ACTING
    assert once.encode().decode() == once


@given(ANY)
def test_lines_stay_and_hold_what_each_would_alone(text: str) -> None:
    assert shown_lines(text).count("\n") == text.count("\n")
    assert "\n" not in shown(text)
    assert shown_lines(shown_lines(text)) == shown_lines(text)
    assert shown_lines(text) == "\n".join(shown(line.expandtabs(4)) for line in text.split("\n"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.booleans())
def test_json_keeps_its_value(text: str, ascii_only: bool) -> None:
    for encoded in (msgspec.json.encode([text, {text: 1}]).decode(), json.dumps([text, {text: 1}], ensure_ascii=ascii_only)):
        safe = shown_json(encoded)
        assert json.loads(safe) == [text, {text: 1}]
        assert not {unicodedata.category(char) for char in safe} & ACTING


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x07", r"\x1b]8;;https://evil.example\x1b\click\x1b]8;;\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("ann\rbob\x08\x08", r"ann\rbob\x08\x08"),
        ("a\nb\tc\u2028d\x85e", r"a\nb\tc\u2028d\x85e"),
        ("\u202egro.elpmaxe@nna\u2066\u2069\u200e\u061c", r"\u202egro.elpmaxe@nna\u2066\u2069\u200e\u061c"),
        ("an\u200bn\ufeff\u00ad", r"an\u200bn\ufeff\xad"),
        ("a\u200db\u200cc", r"a\u200db\u200cc"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("fill\u3164er\u034f\ufe0f", r"fill\u3164er\u034f\ufe0f"),
        ("\ud800\ue000\uffff\u0378", r"\ud800\ue000\uffff\u0378"),
        ("ann\u200a", r"ann\u200a"),
        ("\u200cann\u200d", r"\u200cann\u200d"),
        ("\x1b\ufe0f\u20e3 1\ufe0fa", "\\x1b\\ufe0f\u20e3 1\\ufe0fa"),
    ],
)
def test_what_acts_or_is_not_seen_is_an_escape(text: str, says: str) -> None:
    assert shown(text) == says


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.org",
        r"C:\models\x1b",
        "Zoë Łukasz Владимир 王小明 أحمد דוד",
        "e\u0301",
        "Qui\u00a0? Elle\u202f!",
        "王\u3000小明",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: a prefix kept apart
        "\u0915\u094d\u200d\u0937 \u0915\u094d\u200c\u0937",  # Devanagari: half form, and explicit virama
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525 \U0001f44d\U0001f3fd\u200d\u2640\ufe0f 1\ufe0f\u20e3",
        "[bold red] \u2014 \u2026",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_a_tab_between_lines_is_blanks() -> None:
    assert shown_lines("a\tb\n\tc\x1b") == "a   b\n    c\\x1b"
