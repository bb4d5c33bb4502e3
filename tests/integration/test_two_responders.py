"""Two responders at once, each in turn killed, stopped for longer than a session, and continued: no lock is lifted or lost that nobody lifted.

TALLYSTICK_ROUNDS says how many rounds; a hundred take about an hour.
"""

import os
from collections.abc import Iterator

import pytest
from tests.support.attacking import FILE, Door, until
from tests.support.deployment import TABLES, check_history, cli, running
from tests.support.two_responders import FIRST, SECOND, Pair

from tallystick_infra.deployment import Deployment

ROUNDS = int(os.environ.get("TALLYSTICK_ROUNDS", "4"))
AUTOMATIC_S = 20.0
"""So long an automatic lock lasts here, unless a person keeps it: shorter than a stop, so that who was stopped would lift it by its old book."""
pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(300 + 120 * ROUNDS)]
TURNS = [(FIRST, "kill"), (SECOND, "stop"), (SECOND, "kill"), (FIRST, "stop")]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    def prepare(deployment: Deployment) -> None:
        artifact = deployment.path / "artifacts" / FILE
        artifact.parent.mkdir(parents=True)
        artifact.write_bytes(b"w" * 1000)

    tables = {**TABLES, "jobs": {"breaker_limit": 10_000, "lock_minutes": AUTOMATIC_S / 60}}
    with running(tmp_path_factory.mktemp("pair"), ["notary", "responder", "sealer", "gateway"], ["one"], tables, prepare) as supervisor:
        cli(supervisor, "agent", "enrol", SECOND, "--role", "responder")
        made = Pair(supervisor)
        try:
            made.start()
            yield made
        finally:
            made.close()


def test_no_lock_is_lifted_or_lost_that_nobody_lifted(pair: Pair) -> None:
    supervisor = pair.supervisor
    pair.order("thief@example.org")
    door = Door(supervisor, "thief@example.org")
    until(supervisor, lambda: door.status() == 403, "the thief is kept out")
    pair.settle()
    owners = set()
    with door.watched() as answers:
        for number in range(ROUNDS):
            turn(pair, number)
            owners.add(pair.owner())
            print(f"round {number + 1} of {ROUNDS}: {len(pair.standing)} locks stand; {pair.owner()}", flush=True)
        pair.settle()
    assert answers <= {403, 503}, "the thief got in"
    assert len({fence for _, fence in owners}) > 1, "the same process had the topic all the time, so nothing was tried"
    check_history(supervisor)


def turn(pair: Pair, number: int) -> None:
    agent, how = TURNS[number % len(TURNS)]
    name = f"automatic-{number}@example.org"
    ends = pair.suspended(name)
    door = Door(pair.supervisor, name)
    if how == "kill":
        pair.order(name)
        pair.kill(agent)
        pair.order(f"ordered-{number}@example.org")
    else:
        pair.stop(agent, name, ends)
    with door.watched() as answers:
        pair.check([door])
    assert answers <= {403, 503}, f"round {number + 1} ({how} {agent}): {name} got in"
