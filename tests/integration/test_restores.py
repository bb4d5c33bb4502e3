"""Each line of docs/operator.md, "Restores", on a running deployment, with an agent at work before, during and after.

Each ends in a verified pass or in a gap that is named; never in two histories, never with a process that starts again and again.
The tests run in this order, on one deployment.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.deployment import check_history, doctor, ids_in_history, wait_confirmed
from tests.support.loading import MOST_S, load, working
from tests.support.restoring import Restoring, patient, restoring

from tallystick_infra.supervisor import Supervisor

pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(600)]
PARTS = ["notary", "detectors", "responder", "outbox", "sealer"]
OLD, NEW = "old", "new"
STORES = ("kafka", "clickhouse", "sealer")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restoring]:
    """Under OLD lie copies of one moment, of which everybody has forgotten more with each test."""
    with restoring(tmp_path_factory.mktemp("restores"), PARTS) as made:
        with load(made.supervisor, "first"):
            pass
        check_history(made.supervisor)
        with made.stopped():
            made.keep(OLD, *STORES)
        yield made


@pytest.fixture
def supervisor(world: Restoring) -> Supervisor:
    return world.supervisor


def adopt(world: Restoring) -> None:
    """The recorded act, after which the sealer goes on by itself."""
    assert patient(world.supervisor, "sealer", "adopt", "--reason", "restored from a copy")["size"] > 1
    world.seals_again()


@pytest.mark.parametrize("what", ["sealer", "state", "nothing"])
def test_the_sealers_directory(world: Restoring, supervisor: Supervisor, what: str) -> None:
    """From an older copy, its state alone from one, or lost: it signs nothing until the operator says so."""
    with world.ends_well(), load(supervisor, f"from-{what}") as on:
        check_history(supervisor)
        world.kill("sealer")
        if what == "state":
            shutil.copy(world.copies / OLD / "sealer" / "state.json", world.path / "sealer" / "state.json")
        else:
            world.put(OLD if what == "sealer" else "none", "sealer")
        world.refused("tallystick sealer adopt")
        on.goes_on()
        adopt(world)


@pytest.mark.parametrize("damaged", [False, True])
def test_the_sealers_notes(world: Restoring, supervisor: Supervisor, damaged: bool) -> None:
    """Lost, or damaged and moved aside: they are filled from the store."""
    notes = world.path / "sealer" / "notes.jsonl"
    with world.ends_well(), load(supervisor, "damaged-notes" if damaged else "lost-notes") as on:
        world.kill("sealer")
        lines, before = notes.read_bytes().splitlines(keepends=True), rounds(notes)
        notes.unlink()
        if damaged:
            notes.write_bytes(b"".join(lines[:2] + lines[3:]))
            world.refused("notes.jsonl")
            notes.unlink()
        on.goes_on()
        world.until(lambda: rounds(notes)[: len(before)] == before, "the notes are back")


def rounds(notes: Path) -> list[tuple[int, list[str], str]]:
    """Where each round begins, its leaves and its note. When it was signed may be known of the note's row, or of its message."""
    lines = notes.read_text().splitlines(keepends=True) if notes.exists() else []
    kept = [json.loads(line) for line in lines if line.endswith("\n")]
    return [(one["first"], one["leaves"], one["note"]) for one in kept if one["type"] == "round"]


@pytest.mark.parametrize("copy", [OLD, "none"])
def test_the_store(world: Restoring, supervisor: Supervisor, copy: str) -> None:
    """From an older copy, or lost: everything comes back by itself, from Kafka and from the sealer's notes."""
    with world.ends_well(), load(supervisor, f"store-{copy}"):
        check_history(supervisor)
        before = root_leaves(world)
        with world.stopped():
            world.put(copy, "clickhouse")
        world.until(lambda: root_leaves(world)[: len(before)] == before, "the root log is published again")


def root_leaves(world: Restoring) -> list[tuple[int, str]]:
    return [(index, leaf) for index, leaf in world.owner().query("SELECT DISTINCT index, leaf FROM root_leaves ORDER BY index").result_rows]


def test_the_store_and_the_sealers_directory_of_the_same_moment(world: Restoring, supervisor: Supervisor) -> None:
    """What was signed since stands on topic `checkpoints` alone."""
    with world.ends_well(), load(supervisor, "store-and-sealer"):
        check_history(supervisor)
        before = root_leaves(world)
        with world.stopped():
            world.put(OLD, "clickhouse", "sealer")
        world.refused("tallystick sealer adopt")
        adopt(world)
        world.until(lambda: root_leaves(world)[: len(before)] == before, "the root log is published again")


def test_single_rows_of_the_ledger(world: Restoring, supervisor: Supervisor) -> None:
    """They are filled at the notary's next start."""
    told = world.log_since("notary")
    with world.ends_well(), load(supervisor, "rows") as on:
        world.until(lambda: min(index for index, _ in world.ledger_ends().values()) > 8, "each shard has rows above its gap")
        for table in ("ledger_entries", "events"):
            world.owner().command(f"DELETE FROM {table} WHERE index IN (3, 5)")
        world.kill("notary")
        on.goes_on()
        world.until(
            lambda: all(f"shard {shard}: the gap is filled, and what stood above it agrees" in told() for shard in range(4)), "it is filled"
        )


def test_an_older_store_of_which_kafka_has_no_more_records(world: Restoring, supervisor: Supervisor) -> None:
    """The gap is named, and its shard stands still; a newer copy of the store is the way on."""
    told = world.log_since("notary")
    with world.ends_well(), load(supervisor, "expired"):
        check_history(supervisor)
        world.expire_events()
        with world.stopped():
            world.keep(NEW, "clickhouse")
            world.put(OLD, "clickhouse")
        world.until(lambda: all(f"shard {shard} stands still" in told() for shard in range(4)), "each shard stands still")
        world.until(lambda: "not signed" in world.refusal(), "the sealer signs nothing over it")
        world.check_stay("notary", "sealer")
        with world.stopped():
            world.put(NEW, "clickhouse")


def test_an_older_kafka(world: Restoring, supervisor: Supervisor) -> None:
    """Its shards stand still, and it is said; topics that are made anew are the way on. Agents may have filled the shard of theirs beyond its end by then."""
    told = world.log_since("notary")
    with world.ends_well(), load(supervisor, "kafka") as on:
        with world.stopped():
            world.put(OLD, "kafka")
        still = "stands still, the others go on: shard {0}: partition {0} of topic events ends at"
        world.until(lambda: sum(still.format(shard) in told() for shard in range(4)) >= 3, "the shards without an agent stand still")
        world.check_stay("notary", "sealer")
        seen = doctor(supervisor)["notary"]
        assert (seen["ok"], "was it restored from an older copy?" in seen["seen"]) == (False, True), seen
        world.kill("kafka")
        world.put("none", "kafka/data")
        (world.path / "kafka" / "data").rmdir()
        on.goes_on()


def test_older_copies_of_store_and_kafka(world: Restoring, supervisor: Supervisor) -> None:
    """What both forgot was signed, and nobody has it any more: nothing is signed over it. Newer copies are the way on; what the older ones
    confirmed meanwhile is a gap that the auditor names."""
    with world.ends_well(gap_of="one"), working(supervisor, "both") as on:
        on.goes_on()
        early = list(on.ids)
        on.goes_on()
        with world.stopped():
            world.keep("newest", "clickhouse", "kafka")
            world.put(OLD, "clickhouse", "kafka")
        world.refused("not signed: shard")
        on.goes_on()
        with world.stopped():
            world.put("newest", "clickhouse", "kafka")
        on.goes_on()
        on.end()
        wait_confirmed(supervisor, on.recorder, MOST_S)
    stored = ids_in_history(supervisor, on.principal)
    assert len(stored) == len(set(stored))
    assert set(early) <= set(stored) < set(on.ids)
