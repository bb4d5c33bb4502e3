"""A name on its way into an address is one segment or one value, and what comes back is what was asked for."""

from posixpath import normpath
from urllib.parse import parse_qsl, unquote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick_schemas.errors import SettingsError
from tallystick_stream_jobs.connectors.errors import Refused
from tallystick_stream_jobs.connectors.quoting import MAX_NAME, checked, form, must_be, query, segment
from tallystick_stream_jobs.connectors.whom import Names

PIECES = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "%2e", "%2f", "%", "?", "#", "&", "=", "+", ";", " ", "id", "a", "é", "\u202e", "😀"])
)
NAMES = PIECES.map("".join) | st.text()
BASE = "https://vault.example.org/v1/identity/entity/name/"


@given(NAMES)
@example("../id/ceo-entity")
@example("a/../../id/ceo")
@example("..\\..\\id")
def test_a_segment_stays_one_segment_for_client_and_server(name):
    try:
        quoted = segment(name)
    except Refused:
        return
    assert unquote(quoted) == name
    assert not set(quoted) & set("/\\?#;&= ")
    assert httpx.URL(BASE + quoted).raw_path.decode() == f"/v1/identity/entity/name/{quoted}"
    # A server that decodes before it splits still stays under the path.
    assert normpath("/v1/identity/entity/name/" + unquote(quoted)).startswith("/v1/identity/entity/name/")


@given(NAMES, NAMES)
def test_a_value_of_a_query_stays_one_value(one, other):
    try:
        asked = query({"username": one, "email": other})
    except Refused:
        return
    assert parse_qsl(asked) == [("username", one), ("email", other)]
    url = httpx.URL(f"https://sso.example.org/users?{asked}")
    assert (url.query.decode(), url.fragment) == (asked, "")


@pytest.mark.parametrize("name", ["", " ", "\u200b", "a\nb", "a\x1b[2J", "a\x7f", "a\x85", "a\u2028b", "a\ud800", "a" * (MAX_NAME + 1)])
def test_what_can_name_nobody_is_refused_in_every_place(name):
    for take in (checked, segment, lambda name: query({"username": name})):
        with pytest.raises(Refused, match="nothing was asked for") as refused:
            take(name)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", [".", "..", "../a", "a/..", "a/./b", "a\\..\\b"])
def test_steps_to_another_path_are_no_segment(name):
    with pytest.raises(Refused, match="another path"):
        segment(name)
    assert checked(name) == name


def test_a_form_shows_and_refuses_nothing():
    assert form({"client_secret": "s\n3 cret&"}) == b"client_secret=s%0A3+cret%26"


@pytest.mark.parametrize(
    ("asked", "found", "any_case"),
    [
        ("ann", ["ann"], False),
        ("Ann", ["ann"], True),
        ("ann@example.org", ["Ann@Example.org"], False),
        ("andre\u0301", ["andr\u00e9"], False),
        ("ann", [None, "ann"], False),
    ],
)
def test_what_comes_back_may_be_another_spelling_of_what_was_asked_for(asked, found, any_case):
    must_be(asked, found, "Vault", any_case=any_case)


@pytest.mark.parametrize(
    ("asked", "found", "any_case"),
    [("ann", ["anna"], True), ("Ann", ["ann"], False), ("ann", [], True), ("ann", [None, 7], True), ("\u0430nn", ["ann"], True)],
)
def test_what_comes_back_as_somebody_else_is_refused(asked, found, any_case):
    with pytest.raises(Refused, match="nothing was done"):
        must_be(asked, found, "Vault", any_case=any_case)


def test_a_table_of_names_knows_every_spelling_once():
    names = Names("c", "principals", {"Ann@Example.org": "ann", "ann@example.org": "ann"}, frozenset)
    assert (names.there("ANN@EXAMPLE.ORG"), names.there("Ann")) == ("ann", None)
    with pytest.raises(SettingsError, match="two spellings"):
        Names("c", "principals", {"Ann@Example.org": "ann", "ann@example.org": "eve"}, frozenset)
