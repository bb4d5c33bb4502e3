"""Attack sets and quiet sets: whose finding it is, after how many events, and what counts against a detector."""

import json

import pytest
from tests.support.edgar import row, write_log

from tallystick_infra.cli.evaluate import _detectors
from tallystick_infra.errors import EvaluationRefused
from tallystick_infra.evaluate.attacks import cloudtrail_set
from tallystick_infra.evaluate.benign import benign_set
from tallystick_infra.evaluate.page import BEGIN, END, write_page
from tallystick_infra.evaluate.tables import Table, markdown
from tallystick_stream_jobs.errors import RuleRefused

MARK = "stratus-red-team_0001"
SETTING_UP = "APN/1.0 Terraform/1.1.2 stratus-red-team_0001"


def record(second, key, agent, who="mallory"):
    return {
        "eventTime": f"2023-07-10T12:{second // 60:02d}:{second % 60:02d}Z",
        "eventName": "GetObject",
        "eventSource": "s3.amazonaws.com",
        "userAgent": agent,
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::1:user/{who}"},
        "requestParameters": {"bucketName": "weights", "key": key},
        "additionalEventData": {"bytesTransferredOut": 10},
    }


def write_set(path, records):
    path.mkdir()
    (path / "trail.json").write_text(json.dumps({"Records": records}))
    return path


def test_a_detonation_is_found_by_whose_evidence_names_it_and_after_so_many_of_its_events(tmp_path):
    records = [record(at, f"part-{at}", MARK) for at in range(60)]
    told = cloudtrail_set(write_set(tmp_path / "set", records))
    assert (told["events"], told["attack_events"], told["detonations"], told["found"]) == (60, 60, 1, 1)
    assert told["techniques"]["GetObject"]["found"]["D01"] == [25]
    assert told["others"] == {"events": 0, "principals": 0, "alarmed": {}}


def test_a_finding_about_ordinary_work_is_a_false_alarm_and_one_about_the_laboratory_is_not(tmp_path):
    quiet = [record(at, f"part-{at}", "aws-cli", who="ann") for at in range(60)]
    lab = [record(at, f"part-{at}", SETTING_UP, who="lab") for at in range(60)]
    told = cloudtrail_set(write_set(tmp_path / "set", [*quiet, *lab, record(100, "one", MARK)]))
    assert (told["found"], told["detonations"]) == (0, 1)
    assert told["others"]["alarmed"]["D01"] == 1
    assert told["others"]["principals"] == 1


def test_a_file_named_after_a_technique_is_all_attack(tmp_path):
    path = tmp_path / "set"
    path.mkdir()
    (path / "aws.exfiltration.pull.json").write_text(json.dumps([record(0, "one", "aws-cli")]))
    assert list(cloudtrail_set(path)["techniques"]) == ["aws.exfiltration.pull"]


def test_a_quiet_set_counts_principal_days(tmp_path):
    rows = [row("bulk", at, f"d-{at}") for at in range(60)] + [row("quiet", at, "d") for at in range(3)]
    told = benign_set("csv:edgar", write_log(tmp_path / "day.csv", rows))
    assert (told["principals"], told["principal_days"], told["events"]) == (2, 2, 63)
    assert told["alarmed"]["D01"] == 1
    assert told["suspended"] == 0


@pytest.mark.parametrize("form", ["csv", "csv:no-such-mapping", "runes"])
def test_a_format_that_is_none_is_told(tmp_path, form):
    with pytest.raises(ValueError, match=r"needs one|no such file|is not one of"):
        benign_set(form, tmp_path)


def test_an_empty_set_is_refused(tmp_path):
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(EvaluationRefused, match=r"empty.json cannot be evaluated: .*there are no events"):
        cloudtrail_set(tmp_path / "empty.json")


TABLE = Table("Title", "How to read it.", ("what", "share"), [("a", "0.5")])


def test_tables_go_between_the_marks_and_nothing_else_changes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Prose\n\n{BEGIN}\nold\n{END}\nMore prose.\n")
    write_page(page, [TABLE])
    write_page(page, [TABLE])
    assert page.read_text() == f"# Prose\n\n{BEGIN}\n\n{markdown(TABLE)}\n{END}\nMore prose.\n"
    assert "| a | 0.5 |" in page.read_text()


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("prose")
    with pytest.raises(EvaluationRefused, match="no lines"):
        write_page(page, [TABLE])
    assert page.read_text() == "prose"


RULE = """title: One pull is too many
id: 5f2f6a3e-8d0b-4a53-9a37-0d7f5d0c1a11
detection:
  selection:
    action: artifact.download
  condition: selection
level: low
logsource:
  product: tallystick
tallystick:
  act: alert
  examples:
    - name: a pull
      expect: true
      events: [{at: 0, action: artifact.download}]
    - name: an upload
      expect: false
      events: [{at: 0, action: artifact.upload}]
"""


def test_own_rules_are_measured_beside_the_detectors(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "one.yml").write_text(RULE)
    told = benign_set("csv:edgar", write_log(tmp_path / "day.csv", [row("a", 1, "d"), row("b", 2, "d")]), _detectors(folder))
    [own] = [name for name in told["alarmed"] if not name.startswith("D")]
    assert told["alarmed"][own] == 2


def test_a_rule_that_cannot_be_used_stops_the_measurement(tmp_path):
    (tmp_path / "one.yml").write_text("title: nothing")
    with pytest.raises(RuleRefused):
        _detectors(tmp_path)
