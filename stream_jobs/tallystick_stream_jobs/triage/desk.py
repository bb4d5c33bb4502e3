"""The desk between engines and the world: the policy in force, a triage a partition, findings recorded. The job's shell drives it."""

import logging
import secrets
import time
from pathlib import Path
from typing import Final

import msgspec

from tallystick_producers import Recorder
from tallystick_schemas.drills import drill_of
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, VerifiedBatch

from ..detectors.base import Rule
from ..detectors.registry import build_rules
from ..detectors.vouching import ScopeOf, anybody
from ..policy import DetectionPolicy, Reloader
from ..policy.changes import record_change
from ..sigma.folder import FOLDER, RuleFolder
from .core import Triage, roles_of
from .record import ME, record_findings, record_told
from .state import State

log: Final = logging.getLogger(__name__)


class Desk:
    """`recorder` None: nothing is recorded (tests and benchmarks of detection alone)."""

    def __init__(self, reloader: Reloader, recorder: Recorder | None, own: RuleFolder | None = None, scope_of: ScopeOf = anybody) -> None:
        self._reloader, self._recorder, self._own, self._scope_of = reloader, recorder, own, scope_of
        self._triages: dict[int, Triage] = {}

    def policy(self) -> DetectionPolicy:
        """The policy in force."""
        return self._reloader.policy

    def rules(self) -> tuple[Rule, ...]:
        """The detectors with the thresholds in force, and the deployment's own rules."""
        return (*build_rules(self._reloader.policy.parameters), *(self._own.rules if self._own else ()))

    def check(self, now: float) -> bool:
        """Whether another policy or other rules are in force than a moment ago; the triages have the policy then."""
        other_rules = self._own is not None and self._own.check(now)
        if not self._reloader.check(now):
            return other_rules
        policy = self._reloader.policy
        log.info("another policy is in force: %s", policy.sha256[:12] or "the defaults")
        for triage in self._triages.values():
            triage.use(policy)
        return True

    def record_policy(self) -> None:
        """Blocking: what is in force stands in the history afterwards, whoever of us recorded it."""
        if self._recorder is None:
            return
        for name, text in [*self._reloader.texts.items(), *(self._own.texts.items() if self._own else ())]:
            record_change(self._recorder, self._reloader.state_dir, name, text)

    def open(self, partition: int, kept: bytes | None) -> None:
        """Take a partition up with its triage as it was kept; one that cannot be read begins anew."""
        policy = self._reloader.policy
        if kept is not None:
            try:
                self._triages[partition] = Triage.restore(policy, kept, self._scope_of)
                return
            except ParseError as error:
                log.error("partition %d: %s; open findings and storms are forgotten", partition, error)
        self._triages[partition] = Triage(policy, State(secrets.token_hex(8)), self._scope_of)

    def close(self, partition: int) -> None:
        self._triages.pop(partition, None)

    def take(self, partition: int, offset: int, batch: VerifiedBatch, findings: list[Finding]) -> list[Finding]:
        """What is told of a message's findings. Nothing when the message was told before the last restart."""
        triage = self._triages[partition]
        if offset < triage.offset:
            return []
        triage.watch(batch)
        marked = [msgspec.structs.replace(finding, drill=drill_of(finding.principal)) for finding in findings]
        told = [one for finding in marked for one in triage.take(finding, roles_of(batch, finding))]
        emitted = int(time.time() * 1000)
        return [msgspec.structs.replace(finding, emitted_ms=emitted) for finding in told]

    def record(self, partition: int, epoch: str, offset: int, findings: list[Finding]) -> None:
        """Blocking: findings of the message before `offset` stand in the history afterwards, once."""
        if self._recorder is not None and findings:
            record_findings(self._recorder, epoch, partition, offset, findings)

    def record_told(self, finding: Finding) -> None:
        """Blocking: a finding about detection itself stands in the history afterwards, once."""
        if self._recorder is not None:
            record_told(self._recorder, finding, ME)

    def epoch(self, partition: int) -> str:
        return self._triages[partition].epoch

    def snapshot(self, partition: int, offset: int) -> bytes:
        """To be kept once the findings of all messages before `offset` were told and recorded."""
        return self._triages[partition].snapshot(offset)


def open_desk(policy_file: str, state_dir: str, recorder: Recorder | None, scope_of: ScopeOf = anybody) -> Desk:
    """A desk over the files of a deployment; its own rules are in a folder beside the policy."""
    if not policy_file:
        return Desk(Reloader(Path(state_dir) / "no-detection.yaml", Path(state_dir)), recorder, None, scope_of)
    return Desk(Reloader(Path(policy_file), Path(state_dir)), recorder, RuleFolder(Path(policy_file).parent / FOLDER), scope_of)
