"""Checkpoints that somebody kept: the history of today must extend each of them. Pure.

The whole history is computed anyway, so no consistency proof is needed: the root over the first leaves must be the one that was kept
(RFC 6962, 2.1.2, says why that suffices).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tallystick_schemas.checkpoints import Checkpoint
from tallystick_schemas.merkle import Frontier

from .report import Findings


class Kept(NamedTuple):
    """A checkpoint out of a note that a pinned sealer key signed, and where it was kept, for sentences."""

    name: str
    checkpoint: Checkpoint


class KeptChecks:
    """The kept checkpoints of one log, taken leaf by leaf: each ends as proven, or as a failure of integrity."""

    def __init__(self, origin: str, kept: Iterable[Kept], place: tuple[int, int | None], findings: Findings) -> None:
        """`place` is the step and the shard that failures name."""
        self._waiting = sorted((one for one in kept if one.checkpoint.origin == origin), key=lambda one: one.checkpoint.size)
        self._place, self._findings = place, findings

    def sizes(self) -> list[int]:
        """Where `at` must be called, rising."""
        return [one.checkpoint.size for one in self._waiting]

    def at(self, tree: Frontier) -> None:
        """The log as computed, at this size."""
        while self._waiting and self._waiting[0].checkpoint.size <= tree.size:
            one = self._waiting.pop(0)
            if one.checkpoint.size < tree.size:
                self._fail(one, f"the history of today was not computed at {one.checkpoint.size} leaves")
            elif one.checkpoint.root != tree.root:
                self._fail(one, f"the first {tree.size} leaves of today's history have root {tree.root.hex()}")

    def close(self, signed: Checkpoint | None, computed: int) -> None:
        """No more leaves: what still waits is longer than what could be computed."""
        today = f"{signed.size} leaves with root {signed.root.hex()}" if signed else "no checkpoint that holds"
        for one in self._waiting:
            self._fail(one, f"today's history has {today}, and {computed} of its leaves could be computed")
        self._waiting = []

    def _fail(self, one: Kept, reason: str) -> None:
        size, root = one.checkpoint.size, one.checkpoint.root.hex()
        says = f"it does not extend the note kept in {one.name}, which says {size} leaves with root {root}"
        step, shard = self._place
        self._findings.fail(step, shard, max(size - 1, 0), f"{reason}: {says}")


def check_kept_roots(checks: KeptChecks, hashes: Sequence[bytes], signed: Checkpoint | None) -> None:
    """A log whose leaf hashes are all at hand. Leaves past the newest checkpoint that holds vouch for nothing."""
    tree, end = Frontier(), min(len(hashes), signed.size if signed else 0)
    for size in checks.sizes():
        if size > end:
            break
        tree.extend(hashes[tree.size : size])
        checks.at(tree)
    checks.close(signed, end)
