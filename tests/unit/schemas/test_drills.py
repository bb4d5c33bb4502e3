"""Names of exercises: made and read back, and nobody else's taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_schemas.drills import drill_credential, drill_of, drill_of_subject, drill_principal

RUNS = st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)


@given(RUNS, NAMES, st.integers(1, 9999))
def test_names_tell_their_run(run: str, name: str, number: int) -> None:
    assert drill_of(drill_principal(run, name)) == run
    assert drill_of_subject(f"principal:{drill_principal(run, name)}") == run
    assert drill_of_subject(f"credential:{drill_credential(run, name, number)}") == run


@pytest.mark.parametrize(
    "name",
    [
        "alice@example.org",
        "",
        "drill-a1@drill.invalid",
        "drill-a1-x@drill.invalid.example.org",
        "drill-a1-x@drill_invalid",
        "xdrill-a1-x@drill.invalid",
        "drill-A1-x@drill.invalid",
        "drill-a1-x@drill.invalid\n",
        "drill-\u0661-x@drill.invalid",
        f"drill-{'a' * 17}-x@drill.invalid",
    ],
)
def test_nobody_else_is_taken_for_one(name: str) -> None:
    assert drill_of(name) is None
    assert drill_of_subject(f"principal:{name}") is None


@pytest.mark.parametrize(
    "subject", ["credential:cred-7c1", "drill-a1-x@drill.invalid", "credential:drill-a1-x", "credential:drill-a1-x-1\n"]
)
def test_other_subjects(subject: str) -> None:
    assert drill_of_subject(subject) is None
