"""Every drill that comes with us, played side by side on one running deployment: their principals, agents and artifacts are disjoint."""

import json

import pytest
from tests.support.deployment import check_history
from tests.support.drilling import POLICY, drill, gone

from tallystick_infra.drills.catalogue import names

pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def played(supervisor):
    """All drills, once."""
    code, out, err = drill(supervisor, "run", "--all", "--headless", "--side-by-side", "6", "--json")
    assert out, err
    return code, {one["scenario"]: one for one in json.loads(out.splitlines()[-1])["drills"]}


@pytest.mark.parametrize("name", names())
def test_the_drill_passes(played, name):
    result = played[1][name]
    broken = [mark for mark in result["grades"]["expected"] + result["grades"]["must_not"] if not mark["met"]]
    assert (broken, result["errors"], result["history"]["failures"]) == ([], [], [])
    assert result["verdict"] == "pass", result["grades"]["lost"]


def test_all_pass_together_and_nothing_is_left(supervisor, played):
    assert played[0] == 0
    assert gone(supervisor) == []
    assert (supervisor.deployment.path / "detection.yaml").read_text() == POLICY
    check_history(supervisor)


def test_the_report_is_written(supervisor, played, tmp_path):
    run = played[1]["stolen-token-weight-grab"]["run"]
    code, _, err = drill(supervisor, "report", run, "-o", str(tmp_path / "report.html"))
    assert code == 0, err
    assert "✓ passed" in (tmp_path / "report.html").read_text()
