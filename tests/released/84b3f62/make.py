"""Made `deployment.tar.xz`: run with the sources of commit 84b3f62 on PYTHONPATH, and the folder to make it in. Kept so that its bytes have a provenance."""

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.support.deployment import check_history, cli, record, running, wait_confirmed

from tallystick_producers import Recorder

PARTS = ("notary", "detectors", "responder", "outbox", "sealer", "gateway")
LEFT_OUT = frozenset({"logs", "run.json", ".lock", "artifacts", "broker.log", "log4j2.yaml", "server.properties", "status"})
"""Made anew at each start, some with the folder's place in them."""


def main(folder: Path) -> None:
    """A deployment with 90 events, an agent whose key was revoked, a lock of a principal without an end, one of a credential, and one that was lifted."""
    data = folder / "deployment"
    with running(data, PARTS, agents=("one", "gone")) as supervisor:
        with Recorder.open(supervisor.deployment.agent("one")) as recorder:
            record(recorder, 60, "alice")
            record(recorder, 30, "mallory")
            wait_confirmed(supervisor, recorder)
        [key] = [one["key"] for one in cli(supervisor, "agent", "list")["agents"] if one["agent"] == "gone"]
        _revoke(supervisor, key)
        cli(supervisor, "lock", "mallory@example.org", "--unseen", "--reason", "kept for the migration's test", "--by", "ann")
        cli(supervisor, "lock", "credential:cred-kept", "--unseen", "--reason", "the credential as well", "--by", "ann")
        cli(supervisor, "lock", "lifted@example.org", "--unseen", "--reason", "soon over", "--by", "ann")
        cli(supervisor, "unlock", "lifted@example.org", "--reason", "it is over", "--by", "ben")
        check_history(supervisor)
    with tarfile.open(folder / "deployment.tar.xz", "w:xz", preset=9) as archive:
        archive.add(data, "deployment", filter=_kept)


def _revoke(supervisor: Any, key: str) -> None:
    arguments = ("agent", "revoke", "gone", "--key", key, "--reason", "it is gone", "--yes", "--data", str(supervisor.deployment.path))
    subprocess.run([sys.executable, "-m", "tallystick_infra.cli", *arguments], check=True)


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without names of the machine that it was made on."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if LEFT_OUT.intersection(Path(member.name).parts) else member


if __name__ == "__main__":
    main(Path(sys.argv[1]))
