"""Removing what drills made: found again by its name alone, so that it is found after a kill -9 as well. One process a deployment drills at a time.

Order: no new access (tokens, grants), nothing unsent (spools), no more voice (agents' keys), locks lifted, files gone. Each step may be repeated.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

import msgspec
import yaml

from tallystick_producers import Recorder
from tallystick_producers.gateway.tokens import parse_tokens, remove_tokens
from tallystick_schemas.drills import drill_of, drill_of_subject
from tallystick_schemas.errors import TallystickError
from tallystick_schemas.keys import key_id
from tallystick_schemas.words import counted, noun
from tallystick_stream_jobs.responder.client import order_unlock, read_locks, wait_applied

from ..admission import dismiss
from ..deployment import Deployment
from ..deployment.keyfiles import read_key
from ..enrolling import revoke_keys
from ..errors import DrillUnusable
from ..knocking import Store, knock
from .own_rules import take_away
from .policy_file import take_out

_REPO: Final = re.compile(r"drill-([a-z0-9]{1,16})", re.ASCII)
_RECEIPTS_S: Final = 15.0
_UNLOCK_S: Final = 10.0
_BY: Final = "drill"


@contextmanager
def alone(deployment: Deployment) -> Iterator[Path]:
    """The deployment's folder of drills, for one process at a time; the lock ends with the process. DrillUnusable while another one drills."""
    folder = deployment.path / "drills"
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DrillUnusable("another `tallystick drill` is at work on it; wait for its end") from error
        yield folder
    finally:
        os.close(handle)


class Cleared(msgspec.Struct):
    """What was removed, and what could not be, in words."""

    tokens: int = 0
    agents: int = 0
    locks: int = 0
    folders: int = 0
    policy: bool = False
    rules: int = 0
    troubles: list[str] = []

    @property
    def anything(self) -> bool:
        return bool(self.tokens or self.agents or self.locks or self.folders or self.policy or self.rules or self.troubles)

    def words(self) -> str:
        """One sentence."""
        agents = noun(self.agents, "agent's key", "agents' keys")
        gone = (counted(self.tokens, "token"), f"{self.agents:,} {agents}", counted(self.locks, "lock"))
        said = f"{', '.join(gone)} and {counted(self.folders, 'folder')} of artifacts are gone"
        said += f", {counted(self.rules, 'rule')} as well" if self.rules else ""
        said += ", and detection.yaml is as before" if self.policy else ""
        return f"{said}; {'; '.join(self.troubles)}" if self.troubles else f"{said}."


def clear(deployment: Deployment, runs: set[str] | None = None) -> Cleared:
    """Remove everything of these runs; None: of every run that ever was. The caller holds `alone`."""
    cleared = Cleared()

    def wanted(run: str | None) -> bool:
        return run is not None and (runs is None or run in runs)

    for step in (_tokens, _policy, _agents, _locks, _folders):
        try:
            step(deployment, wanted, cleared)
        except (TallystickError, OSError, yaml.YAMLError) as error:
            cleared.troubles.append(f"{step.__name__.strip('_')} are left over: {error}; `tallystick drill clean` tries again")
    return cleared


Wanted = Callable[[str | None], bool]


def _tokens(deployment: Deployment, wanted: Wanted, cleared: Cleared) -> None:
    path = Path(deployment.gateway().tokens_file)
    for record in list(parse_tokens(path.read_bytes() if path.exists() else b"").records()):
        if wanted(drill_of(record.principal)):
            cleared.tokens += remove_tokens(path, record.credential)


def _policy(deployment: Deployment, wanted: Wanted, cleared: Cleared) -> None:  # noqa: ARG001 - one file, one folder for all runs
    cleared.policy = take_out(deployment, deployment.path / "drills")
    cleared.rules = take_away(deployment)


def _agents(deployment: Deployment, wanted: Wanted, cleared: Cleared) -> None:
    """Revoke each key; a spool that still holds something is sent first, or the history would lack it for ever."""
    keys = deployment.keys / "agents"
    names = [path.stem for path in sorted(keys.glob("drill-*.key")) if wanted(drill_of(path.stem))]
    if not names:
        return
    for store in get_args(Store):
        knock(deployment, store, "Nobody was revoked.")
    for name in names:
        _drain(deployment, name)
    over = [(name, key_id(read_key(deployment.agent_key(name)).public_key().public_bytes_raw())) for name in names]
    revoke_keys(deployment, over, "the drill is over", _RECEIPTS_S)
    dismiss(deployment, names)
    for name in names:
        deployment.agent_key(name).unlink()
        shutil.rmtree(deployment.agent(name).spool_dir, ignore_errors=True)
        cleared.agents += 1


def _drain(deployment: Deployment, name: str) -> None:
    settings = deployment.agent(name)
    if (Path(settings.spool_dir) / "spool.sqlite").exists():
        with Recorder.open(settings) as recorder:
            recorder.wait_receipts(_RECEIPTS_S)


def _locks(deployment: Deployment, wanted: Wanted, cleared: Cleared) -> None:
    knock(deployment, "Kafka", "No lock was lifted.")
    standing = [
        one for one in read_locks(deployment.kafka(), deployment.log()) if one.state == "locked" and wanted(drill_of_subject(one.subject))
    ]
    if not standing:
        return
    with Recorder.open(deployment.agent("cli")) as recorder:
        commands = [order_unlock(recorder, one, "the drill is over", _BY) for one in standing]
        for command in commands:
            wait_applied(deployment.kafka(), deployment.log(), command, _UNLOCK_S)
            cleared.locks += 1


def _folders(deployment: Deployment, wanted: Wanted, cleared: Cleared) -> None:
    for kind in ("models", "datasets"):
        for folder in sorted((Path(deployment.gateway().root) / kind).glob("drill-*")):
            match = _REPO.fullmatch(folder.name)
            if match and wanted(match.group(1)) and folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
                cleared.folders += 1
