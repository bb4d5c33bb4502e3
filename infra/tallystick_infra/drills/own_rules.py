"""Rules in Sigma that a drill brings along: put into the deployment's folder of rules while it lasts, each looking at drills' principals alone."""

import time
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

from tallystick_stream_jobs.policy.changes import last_text
from tallystick_stream_jobs.policy.files import write_whole

from ..deployment import Deployment
from ..errors import DrillUnusable
from .scenario import Drill

_OURS: Final = files(__package__) / "rules"
FOLDER: Final = "rules"
_PREFIX: Final = "drill-"
_IN_FORCE_S: Final = 30.0


def bring(deployment: Deployment, drills: Iterable[Drill]) -> int:
    """Put the drills' rules in and wait until the detectors have recorded that they use them; how many. DrillUnusable when they do not."""
    wanted = {name: (_OURS / name).read_text("utf-8") for drill in drills for name in drill.scenario.rules}
    for name, text in wanted.items():
        _folder(deployment).mkdir(mode=0o700, exist_ok=True)
        write_whole(_folder(deployment) / f"{_PREFIX}{name}", text)
    deadline, state_dir = time.monotonic() + _IN_FORCE_S, Path(deployment.jobs().state_dir)
    for name, text in wanted.items():
        while last_text(state_dir, f"{FOLDER}-{_PREFIX}{name}") != text:
            if time.monotonic() > deadline:
                raise DrillUnusable(
                    f"the detectors did not take up {_folder(deployment) / (_PREFIX + name)} in {_IN_FORCE_S:.0f} s; see logs/detectors.log"
                )
            time.sleep(0.2)
    return len(wanted)


def take_away(deployment: Deployment) -> int:
    """Remove them; how many there were."""
    left = sorted(_folder(deployment).glob(f"{_PREFIX}*.yml"))
    for path in left:
        path.unlink()
    return len(left)


def known_rules() -> list[str]:
    """Rules that come with us for drills."""
    return sorted(one.name for one in _OURS.iterdir() if one.name.endswith(".yml"))


def _folder(deployment: Deployment) -> Path:
    return Path(deployment.jobs().policy_file).parent / FOLDER
