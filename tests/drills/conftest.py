"""One running deployment for all drills, and no longer: ten processes beside other tests would take their time."""

import pytest
from tests.support.deployment import running
from tests.support.drilling import TABLES, prepare

from tallystick_infra.supervisor.run import ALL_PARTS

PARTS = [part for part in ALL_PARTS if part not in ("console", "signals")]


@pytest.fixture(scope="package")
def supervisor(tmp_path_factory):
    with running(tmp_path_factory.mktemp("drills"), PARTS, agents=(), tables=TABLES, prepare=prepare) as started:
        yield started
