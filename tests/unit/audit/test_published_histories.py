"""The published histories as rows of a store: the verifier finds in them what their authors wrote down, and nothing else."""

import json
from datetime import datetime
from typing import Any

import pytest
from tests.support.history import History, add_rows
from tests.support.history_source import MemorySource
from tests.vectors.make import FOLDER

from tallystick_audit.verify.history import verify_source
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.settings import LogSettings

HISTORIES: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_bytes()) for path in sorted(FOLDER.glob("history-*.json"))}


def rows_of(vector: dict[str, Any]) -> History:
    pins = {
        of: tuple(bytes.fromhex(key["public"]) for name, key in vector["keys"].items() if name.startswith(of))
        for of in ("operator", "sealer")
    }
    log = LogSettings(vector["deployment"], len(vector["shards"]), pins["operator"], pins["sealer"])
    history = History(log, now=datetime.fromisoformat(vector["verified"]["now"]).timestamp())
    for shard in vector["shards"]:
        machine = Fold(Parameters.of(shard["shard"], shard["origin"], log.operator_keys, log.sealer_keys))
        for row in shard["records"]:
            raw = bytes.fromhex(row["record"])
            add_rows(history, shard["shard"], machine.fold(raw, row["offset"], row["append_ms"]), raw)
    history.root_leaves = [(index, bytes.fromhex(leaf)) for index, leaf in enumerate(vector["root_leaves"])]
    history.checkpoints = [
        (row["origin"], row["size"], bytes.fromhex(row["root"]), bytes.fromhex(row["note"])) for row in vector["checkpoints"]
    ]
    return history


@pytest.mark.parametrize("name", HISTORIES)
def test_it_is_verified_as_its_author_says(name: str) -> None:
    history, said = rows_of(HISTORIES[name]), HISTORIES[name]["verified"]
    report = verify_source(MemorySource(history), history.log, history.now)
    assert {aspect: getattr(report, aspect) for aspect in ("integrity", "completeness", "freshness")} == {
        aspect: said[aspect] for aspect in ("integrity", "completeness", "freshness")
    }
    found = [
        {"verdict": one.verdict, "outcome": one.outcome, "step": one.step, "shard": one.shard, "index": one.index}
        for one in report.failures
    ]
    assert found == said["found"]
    assert sorted([fork.shard, fork.index] for fork in report.forks) == said["forks"]
    assert [one.agent for one in report.seen.unfit] == said["unsigned_seen"]
    assert report.unproven_rejections == 0
