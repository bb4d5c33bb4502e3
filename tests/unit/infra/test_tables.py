"""What a terminal shows has to be copied and typed: it stands whole at any width, and findings go by the beginning of their ids."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result
from rich.text import Text
from tests.support.responding import finding

from tallystick_infra import enrolment
from tallystick_infra.cli import respond_show
from tallystick_infra.cli.drill import list_drills, report
from tallystick_infra.cli.feedback import the_one
from tallystick_infra.cli.tables import Listing, amount, short_time
from tallystick_infra.drills.catalogue import names
from tallystick_infra.drills.grade import size
from tallystick_infra.errors import ManyFindings, NoFinding, NothingAnswers
from tallystick_infra.terminal import Terminal, out, styled, timed
from tallystick_schemas.settings import LogSettings
from tallystick_stream_jobs.responder import client
from tallystick_stream_jobs.triage import store
from tallystick_stream_jobs.triage.store import Closed

SUBJECT = "principal:credential-of-somebody@example.org"
IDS = ["0123456789abcdef", "0123456788abcdef", "fedcba9876543210"]


def printed(table: Listing, width: int) -> str:
    screen = Terminal(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    screen.print(table)
    return screen.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def listing(*subjects: str) -> Listing:
    table = Listing("subject", "state", "why", whole=("subject",))
    for subject in subjects:
        table.add_row(subject, "suspend", "he took a great many things that were not his, one after the other")
    return table


def test_on_a_screen_a_subject_stays_in_one_piece() -> None:
    assert SUBJECT in printed(listing(SUBJECT), 80)


def test_what_is_wider_than_the_screen_is_folded_and_not_cut() -> None:
    wide = SUBJECT * 3
    text = printed(listing(wide), 80)
    assert "…" not in text
    assert wide in "".join(line.split(" ")[0] for line in text.splitlines()[1:])


def test_a_subject_without_room_does_not_break_the_id_beside_it() -> None:
    table = Listing("id", "about", "what", whole=("id", "about"))
    table.add_row(IDS[0], SUBJECT * 3, "he took a great many things that were not his, one after the other")
    assert IDS[0] in printed(table, 40)


def noted() -> Listing:
    table = Listing("id", "about", "state", "what", whole=("id",), below="what")
    table.add_row(IDS[0], "ann@example.org", "open", "ann took a great many things that were not hers, one after the other")
    table.add_row(IDS[1], "bo@example.org", styled("closed", "red"), "")
    return table


def test_sentences_without_room_stand_under_their_rows() -> None:
    lines = [line.rstrip() for line in printed(noted(), 80).splitlines()]
    assert lines == [
        "id                about            state",
        "0123456789abcdef  ann@example.org  open",
        "  ann took a great many things that were not hers, one after the other",
        "0123456788abcdef  bo@example.org   closed",
    ]
    assert len(printed(noted(), 140).splitlines()) == 3
    narrow = printed(noted(), 40)
    assert all(len(line) <= 40 for line in narrow.splitlines())
    assert "…" not in narrow


def test_in_a_pipe_a_row_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out().print(listing(SUBJECT * 3))
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert shown[1].startswith(SUBJECT * 3)
    assert shown[1].rstrip().endswith("one after the other")


def test_drill_names_can_be_typed() -> None:
    shown = CliRunner().invoke(list_drills, []).output
    assert set(names()) <= {line.split(" ")[0] for line in shown.splitlines()}


class Somewhere:
    """A deployment whose stores are told by the test."""

    def kafka(self) -> None:
        return None

    clickhouse = kafka

    def log(self) -> LogSettings:
        return LogSettings(deployment="example")


SOME = finding()


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Callable[..., Result]:
    """`tallystick findings` of two findings, of which a person closed the second."""
    said = {IDS[2]: Closed("false-positive", "ann", "nightly copy", datetime(2026, 11, 24, tzinfo=UTC))}
    monkeypatch.setattr(respond_show, "open_running", lambda *_: Somewhere())
    monkeypatch.setattr(respond_show, "knock", lambda *_: None)
    monkeypatch.setattr(client, "read_findings", lambda kafka, log, limit: [finding(id=IDS[0]), finding(id=IDS[2])])
    monkeypatch.setattr(enrolment, "ledger_keyring", lambda *_: None)
    monkeypatch.setattr(store, "read_closed", lambda settings, keyring, agents, ids: {one: said[one] for one in ids if one in said})
    return lambda *options: CliRunner().invoke(respond_show.findings, ["--data", str(tmp_path), *options])


def test_findings_show_the_beginning_of_their_ids(listed: Callable[..., Result]) -> None:
    assert IDS[0][:12] in listed().output.split()


def test_findings_say_which_are_closed_how_and_by_whom(listed: Callable[..., Result]) -> None:
    header, still_open, closed = listed().stdout.splitlines()
    assert "state" in header.split()
    assert " closed " in closed
    assert closed.rstrip().endswith("Closed as false-positive by ann.")
    assert " open " in still_open
    assert "false-positive" not in still_open
    told = json.loads(listed("--json").stdout)
    assert told["closed_known"]
    assert [one["closed"] for one in told["findings"]] == [
        None,
        {"disposition": "false-positive", "by": "ann", "reason": "nightly copy", "at": "2026-11-24T00:00:00Z"},
    ]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("--open",), [IDS[0]]),
        (("--severity", "critical"), []),
        (("--severity", "critical", "--severity", SOME.severity), [IDS[0], IDS[2]]),
        (("--detector", SOME.detector), [IDS[0], IDS[2]]),
        (("--detector", "D99"), []),
        (("--about", SOME.principal, "--limit", "1"), [IDS[0]]),
        (("--about", "nobody"), []),
    ],
)
def test_findings_can_be_narrowed(listed: Callable[..., Result], options: tuple[str, ...], shown: list[str]) -> None:
    assert [one["id"] for one in json.loads(listed("--json", *options).stdout)["findings"]] == shown
    if not shown:
        assert listed(*options).stdout == "Nothing of that is among the newest 10,000 findings.\n"


def test_findings_without_the_store_do_not_pass_as_open(listed: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise NothingAnswers("ClickHouse", "127.0.0.1:1")

    monkeypatch.setattr(respond_show, "knock", away)
    done = listed()
    assert "?" in done.stdout.splitlines()[1].split()
    assert "hint: which of them are closed is not known (ClickHouse: nothing answers" in done.stderr
    assert not json.loads(listed("--json").stdout)["closed_known"]


def test_a_finding_by_the_beginning_of_its_id() -> None:
    assert the_one("fedcba98", IDS) == IDS[2]
    assert the_one("0123456789", IDS) == IDS[0]
    assert the_one("F1", ["F1", "F11"]) == "F1", "the whole of an id is never ambiguous"
    with pytest.raises(ManyFindings, match="may be any of 2 findings"):
        the_one("01234567", IDS)
    with pytest.raises(NoFinding):
        the_one("fedcba9", IDS)
    with pytest.raises(NoFinding):
        the_one("aaaaaaaa", IDS)


def test_times_without_the_day_that_everybody_knows() -> None:
    now = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    assert short_time("2026-11-24T08:01:02.345678Z", now) == "08:01:02"
    assert short_time("2026-11-25T00:30:02Z", now) == "11-25 00:30"
    assert short_time("2025-11-24T08:01:02Z", now) == "2025-11-24 08:01"
    assert short_time("", now) == ""


def test_amounts_take_few_cells() -> None:
    assert [amount(one) for one in (0.9, 40, 412.5, 12_345.6, 50_335_900, 2.5e12)] == ["0.9", "40", "412.5", "12,346", "50.3M", "2.5T"]


def test_a_budget_below_a_megabyte_is_not_nothing() -> None:
    assert [size(count) for count in (0, 200_000, 999_000, 1_000_000, 5_300_000)] == ["0.0 kB", "200.0 kB", "999.0 kB", "1.0 MB", "5.3 MB"]


def test_the_run_of_a_report_may_be_left_out() -> None:
    assert "[RUN]" in CliRunner().invoke(report, ["-h"], help_option_names=["-h"]).output


def test_a_line_of_a_log_hangs_on_a_screen_and_is_one_line_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "he took a great many things that were not his, one after the other, and nobody said a word"
    piped = timed(words)
    assert isinstance(piped, Text)
    assert piped.plain.endswith(f" {words}")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    screen = Terminal(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    screen.print(timed(words))
    first, second = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert first[:2].isdigit()
    assert second.startswith(" " * 9)
    assert not second.startswith(" " * 10)


@pytest.mark.parametrize(("width", "indent"), [(80, 18), (73, 2)])
def test_a_sentence_stands_under_what_it_is_about_where_it_has_room(width: int, indent: int) -> None:
    """As doctor's: the state, the part, what was seen, and what to do."""
    table = Listing("", "part", "seen", "what to do", whole=("part",), below="what to do")
    table.add_row("!!", "shown roots!", "x " * 40, "see the operator's page, where it says what to do about it, and when")
    lines = printed(table, width).splitlines()
    [note] = [line for line in lines if "see the" in line]
    assert len(note) - len(note.lstrip()) == indent
