"""Real logs, which are not part of the project: what the sources hold is what is recorded and refused, and nothing is recorded twice."""

import csv
import gzip
import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest
from tests.support.collectors import Machine
from tests.support.recorder import rows, spooled

from tallystick_producers.collectors import RowMapping, load_mapping, log_format

DATA = Path(os.environ.get("TALLYSTICK_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
TOKENS = {
    "principal": "unknown",
    "action": "model.infer",
    "kind": "service",
    "resource": {"kind": "endpoint", "id": "llm"},
}
AZURE = RowMapping(
    TOKENS
    | {
        "time": {"value": "{TIMESTAMP}"},
        "usage": {"tokens_in": "{ContextTokens}", "tokens_out": "{GeneratedTokens}"},
    }
)
MOONCAKE = RowMapping(
    TOKENS
    | {
        "time": {"value": "{timestamp}", "format": "epoch_ms"},
        "usage": {"tokens_in": "{input_length}", "tokens_out": "{output_length}"},
    }
)


def real(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"the real data is not part of the project: no {path} (TALLYSTICK_TEST_DATA names another folder)")
    return path


def members(path, suffix):
    """What an archive's logs hold, read by other means than the collector's."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(suffix):
                file = archive.extractfile(member)
                assert file is not None
                yield file.read()


def twice(directory, path, reading):
    """One pass, then one by a new process; the first report, after it was held against the spool."""
    with Machine(directory, reading, path) as machine:
        report = machine.collect()
        machine.restart()
        again = machine.collect()
    assert report.unreadable == again.unreadable == []
    assert (again.read, again.recorded, again.refused) == (0, 0, 0)
    of_the_agent = 4  # two starts, two stops
    assert sum(count for (count,) in rows(machine.settings, "SELECT count FROM segments")) == report.recorded + of_the_agent
    kept = machine.rejected.path.read_bytes().splitlines() if report.refused else []
    assert len(kept) == report.refused
    return report, machine


def test_a_day_of_edgar(tmp_path):
    path = real("edgar-20170101-half.csv.gz")
    with gzip.open(path, "rt") as file:
        sizes = [(row["ip"], int(float(row["size"] or 0))) for row in csv.DictReader(file)]
    report, machine = twice(tmp_path, path, log_format("csv", load_mapping("edgar")))
    assert (report.read, report.recorded, report.refused) == (len(sizes), len(sizes), 0)
    # That the events are the rows: every row's address and size, in order.
    [events, _] = spooled(machine.settings).values()
    found = [(one.actor.principal, one.usage.bytes or 0 if one.usage else 0) for one in events if one.action == "artifact.download"]
    assert found == sizes


def test_a_web_servers_combined_log(tmp_path):
    path = real("apache-access-semicomplete.tar.gz")
    [raw] = members(path, "apache_logs")
    report, machine = twice(tmp_path, path, log_format("combined"))
    given = [line.decode().split() for line in raw.splitlines()]
    assert (report.read, report.recorded, report.refused) == (len(given), len(given), 0)
    [events, _] = spooled(machine.settings).values()
    assert [one.source.ip for one in events if one.source] == [line[0] for line in given]


@pytest.mark.parametrize(("name", "expected"), [("invictus-cloudtrail.tar.gz", 2900), ("stratus-detonation-logs.tar.gz", 310)])
def test_cloudtrail_of_attacks(tmp_path, name, expected):
    path = real(name)
    ids = []
    for raw in members(path, ".json"):
        document = msgspec.json.decode(raw)
        ids += [one["eventID"] for one in (document["Records"] if isinstance(document, dict) else document)]
    report, machine = twice(tmp_path, path, log_format("cloudtrail"))
    assert (report.read, report.recorded, report.refused) == (expected, expected, 0)
    [events, _] = spooled(machine.settings).values()
    assert [one.attrs["event_id"] for one in events if one.attrs and "event_id" in one.attrs] == ids


def test_inference_requests_as_csv(tmp_path):
    path = real("azure-llm-trace-2023.tar.gz")
    given = [row for raw in members(path, ".csv") for row in csv.DictReader(io.StringIO(raw.decode()))]
    report, machine = twice(tmp_path, path, log_format("csv", AZURE))
    assert (report.read, report.recorded, report.refused) == (len(given), len(given), 0)
    assert tokens(machine) == [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in given]


def test_inference_requests_as_json_lines(tmp_path):
    path = real("mooncake-llm-trace.tar.gz")
    given = [msgspec.json.decode(line) for raw in members(path, ".jsonl") for line in raw.splitlines()]
    report, machine = twice(tmp_path, path, log_format("jsonl", MOONCAKE))
    assert (report.read, report.recorded, report.refused) == (len(given), len(given), 0)
    assert tokens(machine) == [(row["input_length"], row["output_length"]) for row in given]


def tokens(machine):
    [events, _] = spooled(machine.settings).values()
    return [(one.usage.tokens_in, one.usage.tokens_out) for one in events if one.action == "model.infer" and one.usage]
