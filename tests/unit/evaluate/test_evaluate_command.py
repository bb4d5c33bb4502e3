"""`tallystick evaluate` as people run it: keys, the same figures twice, and a sentence for every bad input."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest
from tests.support.edgar import COLUMNS, row, small_log, write_log

from tallystick_infra.cli import main
from tallystick_infra.evaluate.log import read_log

KEYS = {"users", "hijacked", "recall_at", "baselines", "wrongful_suspensions_per_10k_user_days"}


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    return ended.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "day.csv.gz", small_log())


@pytest.fixture(scope="module")
def told(log):
    """(exit code, standard output, standard error) of one run."""
    return run(log, "--splices", 1, "--json")


@pytest.fixture(scope="module")
def result(told):
    return json.loads(told[1].splitlines()[-1])


def test_the_last_line_is_one_object(told, result):
    assert told[0] == 0
    assert set(result) >= KEYS
    assert (result["users"], result["hijacked"]) == (80, 40)
    assert set(result["recall_at"]) == {"0.01", "0.05"}
    assert {frozenset(recalls) for recalls in result["baselines"].values()} == {frozenset({"0.01", "0.05"})}
    assert result["recall_at_past_midnight"]
    assert {"distinct documents in 24 h", "50 requests in 15 min", "river HalfSpaceTrees, by the hour"} <= set(result["baselines"])


def test_a_second_run_prints_the_same(log, told):
    assert run(log, "--splices", 1, "--json")[1] == told[1]


def test_harvests_under_quiet_names_are_found_and_nobody_quiet_is_suspended(result):
    assert result["recall_at"] == {"0.01": 1.0, "0.05": 1.0}
    assert result["wrongful_suspensions_per_10k_user_days"] == 0
    assert result["vendors_as_published"]["500 requests in 60 min"]["recall"]["value"] == 0


def test_people_get_tables_beside_it(told):
    for title in ("The log", "Hijacked accounts", "Vendors' thresholds as published", "Nobody was hijacked here"):
        assert title in told[2]


def test_a_missing_column_is_named_with_the_file(tmp_path):
    path = write_log(tmp_path / "day.csv", small_log(), [name for name in COLUMNS if name not in ("accession", "cik")])
    code, _, err = run(path)
    assert code == 3
    assert str(path) in err
    assert "no column accession, cik" in err


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "there are no rows"),
        ([row("a", 1, "d") | {"size": "much"}], "line 2: 'much' is not a count"),
        ([row("a", 1, "d") | {"date": "yesterday"}], "line 2: the time 'yesterday"),
        ([row("a", 1, "d")], "above 500 requests a day"),
        (small_log()[:40] + [row("a", 1, "d") | {"size": "much"}] * 10, "10 of 50 rows are no events; line 42: 'much' is not a count"),
    ],
    ids=["empty", "size", "time", "no harvester", "too many bad rows"],
)
def test_a_log_that_cannot_be_evaluated_says_why(tmp_path, rows, sentence):
    path = write_log(tmp_path / "day.csv", rows)
    code, _, err = run(path)
    assert code == 3
    assert str(path) in err
    assert sentence in err


def test_a_file_that_is_not_there_or_not_what_it_says(tmp_path):
    code, _, err = run(tmp_path / "nothing.csv")
    assert (code, "nothing.csv" in err) == (3, True)
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"not gzip at all")
    code, _, err = run(broken)
    assert code == 3
    assert "broken.csv.gz cannot be evaluated: it cannot be read" in err


def test_a_few_bad_rows_are_counted_and_named(tmp_path):
    rows = small_log()
    rows[5]["size"] = "much"
    log = read_log(write_log(tmp_path / "day.csv", rows))
    assert (log.refused, log.reason) == (1, "line 7: 'much' is not a count")
    assert log.rows == len(rows) - 1
