"""What a drill needs in detection.yaml: its protected principals and grants, put in through the same door as anybody's change, and taken out again.

Nothing else of the file is touched. Its text of before is kept beside the results, so that it comes back byte for byte, comments and all, unless
somebody changed the file meanwhile: then only the drill's own entries are taken out.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tallystick_producers import Actor, Recorder
from tallystick_schemas.drills import drill_of, drill_principal
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.policy.changes import By, change_file, record_change
from tallystick_stream_jobs.policy.files import write_whole

from ..deployment import Deployment
from .scenario import Drill

_BEFORE: Final = "detection.yaml.before"
_WRITTEN: Final = "detection.yaml.written"
_IN_FORCE_S: Final = 2.5
"""Detectors and responder look at the file once a second."""
_GRANT_S: Final = 3600.0
_BY: Final = Actor("drill", "service")


def entries(runs: Mapping[str, Drill], now: float) -> dict[str, list[dict[str, Any]]]:
    """What the drills need in the file; empty when they need nothing."""
    protected: list[dict[str, Any]] = []
    grants: list[dict[str, Any]] = []
    for run, drill in runs.items():
        for name, one in drill.scenario.principals.items():
            if one.protected:
                protected.append({"principal": drill_principal(run, name), "reason": f"drill {run}"})
            if one.granted is not None:
                kind = drill.scenario.resources[one.granted].kind
                grants.append(
                    {
                        "id": f"drill-{run}-{name}",
                        "principals": drill_principal(run, name),
                        "resources": f"{kind}s/drill-{run}/{one.granted}",
                        "detectors": ["D01", "D02", "D03", "D04"],
                        "until": wire_time(now + _GRANT_S),
                        "reason": f"{one.purpose or 'granted'}, in drill {run}",
                        "owner": "drill",
                    }
                )
    return {key: found for key, found in (("protected", protected), ("grants", grants)) if found}


def put_in(deployment: Deployment, folder: Path, runs: Mapping[str, Drill]) -> bool:
    """Add the drills' entries and wait until they are in force; whether there were any. PolicyRefused when the file cannot be used as it is."""
    wanted = entries(runs, time.time())
    if not wanted:
        return False
    path = Path(deployment.jobs().policy_file)
    before = path.read_text("utf-8") if path.exists() else None
    policy = yaml.safe_load(before or "") or {}
    for key, found in wanted.items():
        policy[key] = [*(policy.get(key) or []), *found]
    text = f"# With entries of drills until they are over; the file of before is in drills/{_BEFORE}.\n{yaml.safe_dump(policy, sort_keys=False)}"
    # If we crash after this, `take_out` finds both texts.
    write_whole(folder / _BEFORE, before if before is not None else "")
    write_whole(folder / _WRITTEN, text)
    _change(deployment, text, "entries of drills")
    time.sleep(_IN_FORCE_S)
    return True


def take_out(deployment: Deployment, folder: Path) -> bool:
    """Put the file of before in its place, or take the drills' entries out of what it is now; whether there was anything to do."""
    before, written, path = folder / _BEFORE, folder / _WRITTEN, Path(deployment.jobs().policy_file)
    if not before.exists():
        return False
    now = path.read_text("utf-8") if path.exists() else ""
    if not written.exists() or now == written.read_text("utf-8"):
        _change(deployment, before.read_text("utf-8"), "the drills are over")
    elif now:
        _change(deployment, yaml.safe_dump(without_drills(yaml.safe_load(now)), sort_keys=False), "the drills are over")
    written.unlink(missing_ok=True)
    before.unlink()
    return True


def without_drills(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy without what drills added."""
    mine: dict[str, Callable[[dict[str, Any]], bool]] = {
        "protected": lambda one: drill_of(str(one.get("principal"))) is not None,
        "grants": lambda one: str(one.get("id")).startswith("drill-"),
    }
    kept = {key: [one for one in policy.get(key) or [] if not is_mine(one)] for key, is_mine in mine.items()}
    return {key: value for key, value in {**policy, **kept}.items() if value or key not in mine}


def _change(deployment: Deployment, text: str, reason: str) -> None:
    """Through the door that `tallystick detect policy set` takes; a file that was not there is gone again."""
    path, state_dir = Path(deployment.jobs().policy_file), Path(deployment.jobs().state_dir)
    with Recorder.open(deployment.agent("cli")) as recorder:
        if text:
            change_file(recorder, state_dir, path, text, By(_BY, reason))
        else:
            path.unlink(missing_ok=True)
            record_change(recorder, state_dir, path.name, None, By(_BY, reason))
