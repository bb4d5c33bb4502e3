"""An agent that does nothing but beat, until it is killed: `python -m tallystick_infra.drills.lonely DATA AGENT HEARTBEAT_S`.

Says a line once the history has its first event. Ends when its parent does.
"""

import dataclasses
import sys
from pathlib import Path

from tallystick_producers import Recorder

from ..deployment import Deployment


def main(data: str, agent: str, heartbeat_s: str) -> None:
    """Beat until standard input ends."""
    settings = dataclasses.replace(Deployment.open(Path(data)).agent(agent), heartbeat_s=float(heartbeat_s))
    with Recorder.open(settings) as recorder:
        recorder.wait_receipts(60)
        print("heard", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
