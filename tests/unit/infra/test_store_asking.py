"""What a user of the embedded store may ask, judged by the text alone: the wall before the engine's grants."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_infra.clickhouse.asking import LIMITS, checked
from tallystick_infra.clickhouse.grants import GRANTS, ROLES, Role, grant_lines, role_of, user_of
from tallystick_infra.clickhouse.statements import BadRequest, Statement, parse_request
from tallystick_schemas.blast_radius import query as plan_query
from tallystick_schemas.finding_events import _CLOSED, _FOUND
from tallystick_stream_jobs.responder.history import _WORDS
from tallystick_stream_jobs.responder.known import EXACT, bytes_sql, near_sql
from tallystick_stream_jobs.responder.order_history import _DECIDED, _FINDINGS, _ORDERS

OTHERS: tuple[Role, ...] = tuple(GRANTS)


def asked(text: str, role: Role = "cli", database: str = "tallystick", **address: str) -> Statement:
    return checked(role, "tallystick", database, parse_request(address, text.encode(), readonly=False))


def test_our_own_questions_with_limits_pass_as_the_official_client_sends_them() -> None:
    for own in (EXACT, near_sql("x"), bytes_sql("x"), plan_query("credential IN {names:Array(String)}")):
        assert "SETTINGS" in own
        assert asked(f"{own}\n FORMAT Native", "console").text.endswith("FORMAT Native")


def test_our_own_questions_to_the_bytes_pass() -> None:
    for own in (_ORDERS, _FINDINGS, _DECIDED, _WORDS, _CLOSED, _FOUND):
        for by_bytes in (True, False):
            assert asked(own.sql(by_bytes=by_bytes), "responder")


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_limits_are_numbers(name: str) -> None:
    assert f"{name} = '7'" in asked("SELECT 1", **{name: "7"}).sql
    asked(f"SELECT 1 SETTINGS {name} = 7")
    for wrong in ("", "x", "-1", "1.5", "7, readonly = 0", "7'", "\N{ARABIC-INDIC DIGIT SEVEN}", "1" * 20):
        with pytest.raises(BadRequest, match=f"setting {name} cannot be changed"):
            asked("SELECT 1", **{name: wrong})
        with pytest.raises(BadRequest, match="may not stand in it"):
            asked(f"SELECT 1 SETTINGS {name} = {wrong}")


@pytest.mark.parametrize(
    "word",
    ["file", "OutFile", "python", "arrowstream", "Identifier", "eval", "settings", "SYSTEM", "system.users", "`system`.users", "\\", ";"],
)
@given(
    before=st.sampled_from(["", "(", "`", '"', "'", "/*", "-- ", "\n", "1,"]),
    after=st.sampled_from(["", "(", "`", '"', "'", "*/", "\n", " x"]),
)
def test_words_that_reach_out_stand_nowhere(word: str, before: str, after: str) -> None:
    with pytest.raises(BadRequest, match="may not stand in it"):
        asked(f"SELECT 1, {before}{word}{after} FROM events")


@given(st.text(max_size=60), st.sampled_from(OTHERS))
def test_any_text_is_a_question_or_is_refused(text: str, role: Role) -> None:
    try:
        statement = asked(text, role)
    except BadRequest:
        return
    assert re.match(r"\s*\(?\s*(SELECT|WITH|DESC|DESCRIBE|EXISTS)\b", statement.text, re.I)
    assert statement.reads


@given(st.text(alphabet="eventsFUCTION()`'\".,; \n-/*SELECTdatabase", max_size=40))
def test_an_insert_goes_into_a_granted_table_or_nowhere(target: str) -> None:
    try:
        statement = asked(f"INSERT INTO {target} FORMAT RowBinary\nx", "notary")
    except BadRequest:
        return
    assert re.fullmatch(
        r"INSERT INTO `tallystick`\.`(ledger_entries|events|rejected|notary_snapshots)` (\([\w`\", \n]*\))? SETTINGS max_threads = '2'",
        statement.sql,
    )


def test_an_insert_names_its_table_in_every_way_that_clients_do() -> None:
    for target in (
        "events (shard, raw)",
        "`events` (`shard`, `raw`)",
        'tallystick.events ("shard", "raw")',
        "`tallystick`.`events`(shard,raw)",
    ):
        assert asked(f"INSERT INTO {target} FORMAT Native\n", "notary", async_insert="0").sql.startswith(
            "INSERT INTO `tallystick`.`events` ("
        )


@pytest.mark.parametrize("role", OTHERS)
def test_a_refusal_names_user_table_and_where_to_look(role: Role) -> None:
    with pytest.raises(BadRequest, match=rf"^{role}: .*INSERT ON tallystick\.schema_versions is not granted; docs/operator\.md") as refused:
        asked("INSERT INTO schema_versions (version) FORMAT Native\n", role)
    assert refused.value.code == 497
    with pytest.raises(BadRequest, match=rf"^{role}: .*database is tallystick, not system.*docs/operator\.md"):
        asked("SELECT 1", role, "system")


def test_users_and_roles_are_one_to_one() -> None:
    assert {role_of(user_of(role)) for role in ROLES} == set(ROLES)
    assert [role_of(name) for name in ("owner", "gateway", "signals", "", "default")] == [None] * 5
    assert set(ROLES) == {"owner", *GRANTS}


def test_only_the_owner_has_more_than_select_insert_and_the_notarys_deleting() -> None:
    lines = {role: list(grant_lines(role, "db")) for role in ROLES}
    assert lines["owner"] == ["GRANT ALL ON *.*"]
    for role in OTHERS:
        looks = ["GRANT SHOW ROW POLICIES ON *.*"] if role in ("auditor", "cli") else []
        assert [line for line in lines[role] if " ON db." not in line] == looks
        privileges = {re.sub(r"GRANT (.*) ON db\.\w+", r"\1", line) for line in lines[role] if line not in looks}
        assert privileges <= {"SELECT", "INSERT"} | ({"ALTER DELETE"} if role == "notary" else set())
    assert {role for role in OTHERS if GRANTS[role].inserts} == {"notary", "sealer"}
