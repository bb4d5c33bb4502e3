"""TOML that a person wrote is read as it stands, or refused in one sentence: too large, too deep, a key of too many parts, a number without end."""

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from tallystick_infra.deployment.config_files import read_tables
from tallystick_producers.collectors import load_mapping
from tallystick_producers.errors import MappingUnusable
from tallystick_producers.toml_text import MAX_BYTES, MAX_PARTS, parse_toml
from tallystick_schemas.errors import SettingsError

WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8) | st.sampled_from(
    [".", "..", "a.b", "'", '"', "#", "=", "a\nb"]
)
VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.booleans() | WORDS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.booleans())
def test_what_was_written_is_read(tables: dict[str, Any], multiline: bool) -> None:
    assert parse_toml(tomli_w.dumps(tables, multiline_strings=multiline).encode()) == tables


HONEST = [
    "a." * (MAX_PARTS - 1) + "a = 1",
    "a = " + repr(["192.0.2.1"] * 100),
    "a = [" + "1.5," * 100 + "]",
    "a = '" + "." * 100 + "'",
    "# " + "." * 100,
    "a = {b.c = 1, d.e = 2}",
    'a = """\nfirst.\nsecond.\n"""',
]


@pytest.mark.parametrize("text", HONEST)
def test_dots_that_are_no_key_are_no_matter(text: str) -> None:
    assert parse_toml(text.encode()) == tomllib.loads(text)


REFUSED = {
    "a." * MAX_PARTS + "a = 1": "a key of more than 32 parts",
    "[" + "a." * MAX_PARTS + "a]": "a key of more than 32 parts",
    "x = {" + '"a" . ' * MAX_PARTS + "'a' = 1}": "a key of more than 32 parts",
    "b = 1\n" + "a." * MAX_PARTS + "a = 1": "line 2",
    "a = " + "[" * 10_000: "nested too deep",
    "a = " + "1" * 10_000: "limit",
    "a = 1\n" * (MAX_BYTES // 6 + 1): "more than 262,144 bytes",
    "a = ": "Invalid value",
}


@pytest.mark.parametrize("text", REFUSED, ids=[text[:12] for text in REFUSED])
def test_is_refused_in_a_sentence_wherever_it_stands(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(SettingsError, match=REFUSED[text]):
        read_tables(path)
    with pytest.raises(MappingUnusable, match=REFUSED[text]):
        load_mapping(str(path))
