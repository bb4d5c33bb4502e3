"""Globs, and names that look like others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_stream_jobs.policy.names import ambiguous, bad_glob, matches


@pytest.mark.parametrize(
    "name",
    [
        "root@example.org",
        "müller@example.org",
        "山田@example.org",
        "CN=svc deploy,O=Acme",
        "spiffe://acme/train",
        "иван",
    ],
)
def test_ordinary_names_are_taken(name: str) -> None:
    assert ambiguous(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "0 characters"),
        ("x" * 257, "257 characters"),
        ("root@example.org ", "space"),
        ("\u00a0root", "space"),
        ("ro\u200bot@example.org", "U\\+200B"),
        ("ro\u00adot", "U\\+00AD"),
        ("\u202etoor", "U\\+202E"),
        ("ro\not", "U\\+000A"),
        ("r\u043eot@example.org", "Cyrillic and Latin"),
        ("ro\u03bft", "Greek and Latin"),
        ("\uff52oot", "NFKC"),
        ("u\u0308ber", "NFKC"),
        ("\u0441\u043e\u0440\u0435", "look like Latin"),
        ("ro\u0455t", "Cyrillic"),
    ],
)
def test_names_that_could_be_mistaken_are_not(name: str, reason: str) -> None:
    assert re.search(reason, ambiguous(name) or "")


@pytest.mark.parametrize(
    ("pattern", "text", "covered"),
    [
        ("acme/*", "acme/atlas-7b", True),
        ("acme/*", "acme/", True),
        ("acme/*", "Acme/atlas", False),
        ("acme/*", "evil/acme/atlas", False),
        ("acme/atlas-?b", "acme/atlas-7b", True),
        ("acme/atlas-?b", "acme/atlas-70b", False),
        ("*-7b", "acme/atlas-7b", True),
        ("*", "", True),
        ("?", "", False),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "aXcYb", False),
        ("[a]", "a", False),
        (".", "x", False),
    ],
)
def test_globs(pattern: str, text: str, covered: bool) -> None:
    assert matches(pattern, text) is covered


@pytest.mark.parametrize("pattern", ["^acme", "acme$", "(a|b)*", "[a-z]*", "a{1,9}", "\\d+", "*" * 9, "a\u200b*"])
def test_regular_expressions_are_no_patterns(pattern: str) -> None:
    assert bad_glob(pattern) is not None


SHORT = st.text("ab*?", max_size=8)


@given(SHORT, st.text("ab", max_size=10))
def test_globs_are_what_everybody_calls_globs(pattern: str, text: str) -> None:
    wanted = "".join({"*": ".*", "?": "."}.get(c, c) for c in pattern)
    assert matches(pattern, text) is (re.fullmatch(wanted, text) is not None)


def test_a_hard_pattern_ends() -> None:
    assert not matches("*a" * 8 + "b", "a" * 256)
