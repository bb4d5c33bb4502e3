"""Every drill that comes with us, played on one running deployment; then the same drills where a part is missing, which must fail.

The drills' principals, agents and artifacts are disjoint, so that they play side by side. Settings of this deployment: the breaker lets more than three
automatic suspensions through, since all drills together make more within ten minutes (docs/drills.md).
"""

import json

import pytest
from tests.support.deployment import check_history, running
from tests.support.drilling import TABLES, connect_receiver, drill, gone

from tallystick_infra.drills.catalogue import names
from tallystick_infra.supervisor.run import ALL_PARTS

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
PARTS = [part for part in ALL_PARTS if part not in ("console", "signals")]


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory):
    with running(tmp_path_factory.mktemp("drills"), PARTS, agents=(), tables=TABLES, prepare=connect_receiver) as started:
        yield started


@pytest.fixture(scope="module")
def played(supervisor):
    """All drills, once."""
    code, out, _ = drill(supervisor, "run", "--all", "--headless", "--side-by-side", "5", "--json")
    results = {one["scenario"]: one for one in json.loads(out.splitlines()[-1])["drills"]}
    return code, results


@pytest.mark.parametrize("name", names())
def test_the_drill_passes(played, name):
    result = played[1][name]
    broken = [mark for mark in result["grades"]["expected"] + result["grades"]["must_not"] if not mark["met"]]
    assert (broken, result["errors"], result["history"]["failures"]) == ([], [], [])
    assert result["verdict"] == "pass", result["grades"]["lost"]


def test_all_pass_together_and_nothing_is_left(supervisor, played):
    assert played[0] == 0
    assert gone(supervisor) == []
    check_history(supervisor)
