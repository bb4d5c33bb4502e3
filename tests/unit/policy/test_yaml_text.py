"""The YAML that is taken, and everything that is refused: bombs, tags, doubles, depth, size."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tallystick_stream_jobs.errors import PolicyRefused
from tallystick_stream_jobs.policy.yaml_text import MAX_BYTES, MAX_NODES, Node, read_yaml


def plain(node: Node) -> object:
    if isinstance(node.value, dict):
        return {key: plain(one) for key, one in node.value.items()}
    return [plain(one) for one in node.value] if isinstance(node.value, list) else node.value


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "line 1, column 4: anchors"),
        ("a: *missing\n", "anchors and aliases"),
        ("a: &a {b: *a}\n", "anchors"),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: 'a' stands here a second time"),
        ("<<: {a: 1}\n", "<< is not taken"),
        ("? [a, b]\n: 1\n", "a key is plain text"),
        ("a: !!python/object/apply:os.system ['true']\n", "tag"),
        ("a: !!binary aGk=\n", "tag"),
        ("a: !!set {b}\n", "tag"),
        ("[" * 9 + "]" * 9, "deeper than 8"),
        ("[" * 60_000, "deeper than 8"),
        ("{a: " * 30_000, "deeper than 8"),
        ("- x\n" * (MAX_NODES + 1), "more than 20,000 values"),
        ("a: " + "x" * MAX_BYTES, "128 KiB"),
        ("a: 1\n--- \nb: 2\n", "line 2, column 1: but found another"),
        ("a: [1,\n", "line 2"),
        ("a: \x07\n", "special characters"),
        ("%YAML 9.9\n---\na: 1\n", "version"),
    ],
)
def test_what_is_refused_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(PolicyRefused, match=reason):
        read_yaml(text)


def test_words_stay_words() -> None:
    text = "a: no\nb: on\nc: 1:30\nd: 2026-12-31\ne: 010\nf: 0x10\ng: 1e3\nh: true\ni: 7\nj: 0.5\nk: ~\nl:\n"
    assert plain(read_yaml(text)) == {
        **{"a": "no", "b": "on", "c": "1:30", "d": "2026-12-31", "e": "010", "f": "0x10", "g": "1e3"},
        **{"h": True, "i": 7, "j": 0.5, "k": None, "l": None},
    }


def test_lines_are_counted_from_one() -> None:
    root = read_yaml("a: 1\n\nb:\n  - c: 2\n")
    assert isinstance(root.value, dict)
    assert (root.value["a"].line, root.value["b"].line) == (1, 4)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert plain(read_yaml(text)) in ({}, None)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        node = read_yaml(text)
    except PolicyRefused:
        return
    assert node.line >= 1


VALUES = st.recursive(
    st.booleans() | st.integers(-(10**14), 10**14) | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), inner, max_size=4),
    max_leaves=20,
)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


@given(VALUES.filter(lambda value: _depth(value) <= 8))
def test_what_was_written_is_read(value: object) -> None:
    """Quoted, so that no writer's idea of an implicit type stands between."""
    assert plain(read_yaml(yaml.safe_dump(value, default_style='"' if isinstance(value, str) else None, allow_unicode=True))) == value
