"""Each key, password and process' state that docs/operator.md says how to replace, on a running deployment, with an agent at work before, during and after.

Each ends in a verified pass, or in segments set aside that are named; never with a process that starts again and again.
The tests run in this order, on one deployment.
"""

import shutil
import signal
from collections.abc import Iterator

import pytest
from tests.support.attacking import Door
from tests.support.deployment import check_exactly_once, cli, doctor, ids_in_history, record, wait_confirmed
from tests.support.loading import MOST_S, load, working
from tests.support.restoring import COMMAND_S, Restoring, patient, restoring

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import make_key, read_key
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Recorder
from tallystick_schemas.keys import key_id

pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(600)]
PARTS = ["notary", "detectors", "responder", "outbox", "sealer", "gateway"]
SIGNING = ("notary", "detectors", "responder", "outbox", "gateway")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restoring]:
    with restoring(tmp_path_factory.mktemp("replacements"), PARTS, ("one", "two", "stolen")) as made:
        yield made


@pytest.fixture
def supervisor(world: Restoring) -> Supervisor:
    return world.supervisor


def own_key(supervisor: Supervisor, agent: str) -> str:
    return key_id(make_key(supervisor.deployment.agent_key(agent)))


def revoke(world: Restoring, agent: str, key: str, reason: str) -> None:
    code, said = world.run("agent", "revoke", agent, "--key", key, "--reason", reason, "--yes", "--timeout", COMMAND_S)
    assert code == 0, said


def check_a_lock_holds(world: Restoring, person: str) -> None:
    """From a person's order to the door: everybody on the way is believed."""
    door = Door(world.supervisor, person)
    world.until(lambda: door.status() == 200, "the door is open")
    patient(world.supervisor, "lock", person, "--unseen", "--reason", "an exercise", "--by", "ann")
    world.until(lambda: door.status() == 403, "the door is shut")


def test_the_key_of_each_part_is_rotated(world: Restoring, supervisor: Supervisor) -> None:
    """ "Rotate a key": both keys count until the old one is revoked."""
    with world.ends_well(), load(supervisor, "rotated") as on:
        old = {part: own_key(supervisor, part) for part in SIGNING}
        for part in SIGNING:
            assert patient(supervisor, "agent", "rotate", part)["key"] == own_key(supervisor, part) != old[part]
        on.goes_on()
        for part in SIGNING:
            world.kill(part, signal.SIGTERM)
        on.goes_on()
        for part in SIGNING:
            revoke(world, part, old[part], "rotated")
        on.goes_on()
        check_a_lock_holds(world, "rotated-thief@example.org")


def test_an_agents_key_was_stolen(world: Restoring, supervisor: Supervisor) -> None:
    """Revoked, then enrolled again: what the old key signed since is set aside and named, what was confirmed stays, others go on."""
    with world.ends_well(), load(supervisor, "honest") as others:
        with working(supervisor, "stolen", "stolen") as thief:
            thief.goes_on()
            before = ids_in_history(supervisor, thief.principal)
            revoke(world, "stolen", own_key(supervisor, "stolen"), "it was copied")
            others.goes_on()
        assert patient(supervisor, "agent", "enrol", "stolen")["key"] == own_key(supervisor, "stolen")
        with working(supervisor, "enrolled-again", "stolen") as again:
            again.goes_on()
            world.until(lambda: again.recorder.stats().aside > 0, "what the revoked key signed is set aside")
            told = doctor(supervisor)["spool stolen"]
        assert (told["ok"], "set aside" in told["seen"]) == (False, True), told
        stored = ids_in_history(supervisor, thief.principal)
        assert set(before) <= set(stored) < set(thief.ids)
        assert len(stored) == len(set(stored))


def test_key_files_are_lost(world: Restoring, supervisor: Supervisor) -> None:
    """`agent rotate` makes another, then the old one is revoked; the notary's, without which nobody is enrolled, is made by the next start.

    A part without its key stays, and says what it lacks.
    """
    told = {part: world.log_since(part) for part in ("responder", "notary")}
    with world.ends_well(), load(supervisor, "lost-keys") as on:
        with load(supervisor, "lost-keys-of-two", "two"):
            old = {name: own_key(supervisor, name) for name in ("two", *told)}
            for name in old:
                supervisor.deployment.agent_key(name).unlink()
            on.goes_on()
            world.kill("responder")
            world.until(lambda: "responder.key cannot be read" in told["responder"](), "the responder says what it lacks")
            world.check_stay("responder")
            for name in ("two", "responder"):
                assert patient(supervisor, "agent", "rotate", name)["old_key"] == old[name]
            world.kill("notary")
            world.until(lambda: "notary.key cannot be read" in told["notary"](), "the notary says what it lacks")
            world.check_stay("notary")
            with world.stopped():
                pass
            on.goes_on()
        for name, key in old.items():
            revoke(world, name, key, "its file is lost")
        with load(supervisor, "new-key-of-two", "two"):
            pass
        check_a_lock_holds(world, "keyless-thief@example.org")


def test_the_sealers_key_is_lost(world: Restoring, supervisor: Supervisor) -> None:
    """Nothing is signed, and it is said, until the key is restored from a copy."""
    key = supervisor.deployment.keys / "sealer.key"
    with world.ends_well(), load(supervisor, "sealers-key") as on:
        key.rename(key.with_suffix(".copy"))
        world.kill("sealer")
        world.refused("sealer.key cannot be read")
        on.goes_on()
        key.with_suffix(".copy").rename(key)


def test_the_operators_key_is_lost(world: Restoring, supervisor: Supervisor) -> None:
    """Nobody can be enrolled until the next one is pinned; everything else goes on."""
    keys, settings = supervisor.deployment.keys, world.path / "tallystick.toml"
    old = read_key(keys / "operator.key").public_key().public_bytes_raw()
    with world.ends_well():
        with load(supervisor, "operator-lost") as on:
            (keys / "operator.key").unlink()
            on.goes_on()
            code, said = world.run("agent", "enrol", "newcomer")
            assert (code != 0, "operator.key cannot be read" in said) == (True, True), said
            public = cli(supervisor, "keys", "next", "operator")["public_key"]
            with world.stopped():
                settings.write_text(settings.read_text().replace(f'"{old.hex()}",\n', f'"{old.hex()}",\n    "{public}",\n'))
                (keys / "operator.next.key").rename(keys / "operator.key")
                supervisor.deployment = Deployment.open(world.path)
            on.goes_on()
        with load(supervisor, "operator-next") as on:
            patient(supervisor, "keys", "retire", key_id(old), "--reason", "lost", "--yes")
            on.goes_on()
            patient(supervisor, "agent", "enrol", "newcomer")
            with load(supervisor, "enrolled-by-the-next", "newcomer"):
                pass
        check_a_lock_holds(world, "next-thief@example.org")


def test_passwords_are_lost(world: Restoring, supervisor: Supervisor) -> None:
    """Of our own parts at Kafka and of everybody at the store: new ones are made at the next start. An agent gets another by a command."""
    keys, told = supervisor.deployment.keys, world.log_since("notary")
    with world.ends_well(), load(supervisor, "passwords") as on:
        for lost in [*(keys / "kafka").glob("*.password"), keys / "agents" / "two.password"]:
            lost.unlink()
        shutil.rmtree(keys / "clickhouse")
        on.goes_on()
        world.kill("notary")
        world.until(lambda: "notary.password cannot be read" in told(), "the notary says what it lacks")
        world.check_stay("notary")
        with world.stopped():
            pass
        on.goes_on()
        patient(supervisor, "agent", "enrol", "two", "--new-password")
        with load(supervisor, "new-password", "two"):
            pass


def test_one_process_state(world: Restoring, supervisor: Supervisor) -> None:
    """What a part keeps on this machine, and the notary in the store, is lost: each goes on without it."""
    with world.ends_well(), load(supervisor, "state") as on:
        for part in SIGNING:
            world.kill(part)
        for part in SIGNING:
            shutil.rmtree(world.path / "spool" / part, ignore_errors=True)
        shutil.rmtree(world.path / "jobs")
        world.owner().command("TRUNCATE TABLE notary_snapshots")
        on.goes_on()
        check_a_lock_holds(world, "stateless-thief@example.org")


def test_an_agents_spool(world: Restoring, supervisor: Supervisor) -> None:
    """An older copy of it sends again what is in the history already, which counts once; without it, a run begins."""
    spool, ids = world.path / "spool" / "two", list[str]()
    with world.ends_well(), load(supervisor, "beside-a-spool"):
        with world.paused("notary"):
            with Recorder.open(supervisor.deployment.agent("two")) as recorder:
                ids += record(recorder, 50, "spool")
            shutil.copytree(spool, world.copies / "spool")
        for restore in (lambda: None, lambda: shutil.copytree(world.copies / "spool", spool), lambda: None):
            with Recorder.open(supervisor.deployment.agent("two")) as recorder:
                ids += record(recorder, 50, "spool")
                wait_confirmed(supervisor, recorder, MOST_S)
            shutil.rmtree(spool)
            restore()
    check_exactly_once(supervisor, ids, "spool@example.org")
