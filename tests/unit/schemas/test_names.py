"""One form of a principal's name: what is one name, what are two, and that every Python says the same."""

import sys
import unicodedata
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick_schemas import names, unicode14
from tallystick_schemas.names import canonical, same_principal

UNASSIGNED = [char for first, last in unicode14.ranges() for char in (chr(first), chr(last))]
CHANGING = [
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.normalize("NFD", char) != char or char.lower() != char or unicodedata.combining(char)
]
"""Every code point that a normal form or a lower case may touch."""
SPECIAL = st.sampled_from(CHANGING) | st.sampled_from(UNASSIGNED) | st.sampled_from("Aa.@/:\\ Σσςİıß")
NAMES = st.text(SPECIAL, max_size=12) | st.text(max_size=40) | st.builds("{}@{}".format, st.text(SPECIAL), st.text(SPECIAL))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("user@example.org", "User@Example.org"),
        ("user@example.org", "USER@EXAMPLE.ORG"),
        ("andr\u00e9", "andre\u0301"),
        ("Andr\u00e9@example.org", "andre\u0301@EXAMPLE.org"),
        ("user@b\u00fccher.example", "user@BU\u0308CHER.example"),
        ("\uac00", "\u1100\u1161"),
        ("a\u0323\u0307", "a\u0307\u0323"),
        ("\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m"),
        ("arn:aws:sts::1:assumed-role/Admin/Ada@Example.org", "arn:aws:sts::1:assumed-role/Admin/Ada@example.org"),
        ("CORP\\Ada@Example.org", "CORP\\Ada@example.org"),
    ],
)
def test_two_spellings_of_one_principal(one, other):
    assert canonical(one) == canonical(other)
    assert same_principal(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("arn:aws:iam::1:user/Ada", "arn:aws:iam::1:user/ada"),
        ("arn:aws:sts::1:assumed-role/Admin/Ada@example.org", "arn:aws:sts::1:assumed-role/admin/ada@example.org"),
        ("CORP\\Ada@example.org", "CORP\\ada@example.org"),
        ('"A da"@example.org', '"a da"@example.org'),
        ("@Example.org", "@example.org"),
        ("Ada@", "ada@"),
        ("Ada@Example.org/x", "ada@example.org/x"),
        ("\u00c9mile", "\u00e9mile"),
        ("alice", "alice "),
        ("alice", "\u0430lice"),
        ("alice", "\uff41lice"),
        ("a.b@example.org", "ab@example.org"),
        ("user@b\u00fccher.example", "user@xn--bcher-kva.example"),
    ],
)
def test_two_principals(one, other):
    assert canonical(one) != canonical(other)
    assert not same_principal(one, other)


def test_the_canonical_mail_address_is_the_lower_case_one():
    assert canonical("Grace.Hopper+X@Example.ORG") == "grace.hopper+x@example.org"


def test_a_greek_name_does_not_depend_on_where_a_letter_stands():
    assert canonical("ΑΣ@ΑΣ.example") == "ασ@ασ.example"


@given(NAMES)
@example("\u0130@\u0130.org")
@example("\u212a@\u212a")
@example("a@b\u0308@C")
def test_a_canonical_name_is_its_own_form(name):
    assert canonical(canonical(name)) == canonical(name)


@pytest.mark.parametrize("frame", ["{}", "a{}@b{}.org", "A{}b/x@{}", "{}@{}"])
def test_every_code_point_that_changes_gives_a_form_that_does_not(frame):
    for char in CHANGING:
        form = canonical(frame.format(char, char))
        assert canonical(form) == form, hex(ord(char))


@given(NAMES)
def test_all_normal_forms_of_assigned_text_are_one_name(name):
    if any(unicode14.unassigned().search(char) for char in name):
        return
    assert canonical(unicodedata.normalize("NFD", name)) == canonical(name) == canonical(unicodedata.normalize("NFC", name))


@given(NAMES, st.sampled_from(UNASSIGNED), NAMES)
def test_what_unicode_14_does_not_assign_parts_what_is_normalised(before, unknown, after):
    name = before + unknown + after
    if "@" not in name and len(name) <= names.MAX_CANONICAL:
        assert canonical(name) == canonical(before) + unknown + canonical(after)


@given(NAMES)
@example("A\u1e08f\U0001e08f@\U0001e08f")
def test_no_python_is_asked_about_what_unicode_14_does_not_assign(name):
    def normalize(form, text):
        assert not unicode14.unassigned().search(text)
        return unicodedata.normalize(form, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "normalize", normalize)
        names._canonical.__wrapped__(name)


def test_a_pair_of_a_later_unicode_is_no_pair(monkeypatch):
    # As if a later version gave U+0378, which 14.0 does not assign, the lower case of a letter that it does.
    class Later(str):
        def lower(self):
            return "\u0378" if self == "\u0238" else "\u0238"

    assert names._lower(Later("\u0238")) == "\u0238"
    assert names._lower(Later("\u0378")) == "\u0378"


def test_the_table_is_what_unicode_14_does_not_assign():
    table = {code for first, last in unicode14.ranges() for code in range(first, last + 1)}
    here = {code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cn"}
    # A later Unicode assigns more, and never takes one back.
    assert here <= table
    if unicodedata.unidata_version == unicode14.VERSION:
        assert here == table
    assert len(table) == 829_834


def test_every_python_gives_the_same_forms():
    digest = sha256()
    for char in CHANGING:
        if not unicode14.unassigned().search(char):
            digest.update(canonical(f"e{char}@x{char}").encode("utf-8", "surrogatepass"))
    for char in UNASSIGNED:
        digest.update(canonical(f"e{char}\u0301E@{char}\u0301").encode("utf-8", "surrogatepass"))
    assert digest.hexdigest() == "6876010544fd4d4f3753bf8076fefd2d19c05123928ef52dc7a3e3a4efec9b49"


def test_a_very_long_name_stays_as_it_is():
    for name in ("A@" + "B" * names.MAX_CANONICAL, "e" + "\u0301\u0323" * 100_000):
        assert canonical(name) == name
    assert canonical("A@" + "B" * (names.MAX_CANONICAL - 2)) == "a@" + "b" * (names.MAX_CANONICAL - 2)


@given(NAMES)
def test_what_stands_longest_is_bounded(name):
    # A name that grows beyond the bound while it is composed stays as it is from then on.
    grown = "\u0958" * names.MAX_CANONICAL + name
    assert canonical(canonical(grown)) == canonical(grown)
