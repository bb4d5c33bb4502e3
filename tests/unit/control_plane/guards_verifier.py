"""Guards of the auditor's verification: what each of its steps finds, and the rows that may stand twice."""

from collections.abc import Callable
from typing import Any, Final

from tallystick_audit.verify import step1_root_note, work
from tallystick_audit.verify.report import Failure, Findings
from tallystick_audit.verify.source import StoredLeaf
from tallystick_audit.verify.step5_fold import RejectedRows
from tallystick_audit.verify.step6_events import EventCheck

from .guards import Guard, instead, wrapped


def _silent(step: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def change(before: Callable[..., None]) -> Callable[..., None]:
        def add(self: Findings, failure: Failure) -> None:
            if failure.step != step:
                before(self, failure)

        return add

    return change


def _step(number: int, what: str) -> Guard:
    """A step that compares nothing: whatever it would say is not said."""
    return Guard(f"verification step {number} ({what})", wrapped(Findings, "add", _silent(number)))


def _each_row(before: Callable[..., Any]) -> Callable[..., Any]:
    def closer(self: EventCheck, promise: Any, group: Any) -> Any:
        if len(set(group.positions)) < len(group.positions):
            self._fail(promise.index, "two rows stand at one position")
        return before(self, promise, group)

    return closer


def _one_row(self: RejectedRows, index: int) -> bytes | None:
    self._skip_before(index)
    row = self._row
    if row is None or row[0] != index:
        return None
    self._row = next(self._rows, None)
    return row[1]


class _Listed:
    """`dict`, as far as step 1 uses it, that keeps what is there already."""

    fromkeys = list


ROOT_NOTE: Final = _step(1, "the root checkpoint is signed, and one of its size")
ROOT_LOG: Final = _step(2, "the root log is the one that was signed")
SHARD: Final = _step(3, "every entry is there; leaf, chain and root fit")
SEALS: Final = _step(4, "what a seal counts is there")
FOLD: Final = _step(5, "folding again gives the same entries")
EVENTS: Final = _step(6, "a segment's events, and no others, fold to its root")
AGREEING: Final = "rows that agree are one"
"""Not a check but the want of one: without it the verifier would call a repeated row an attack."""
SAME_ENTRY: Final = Guard(AGREEING, instead(work._ShardSteps, "last", property(lambda _: -1, lambda *_: None), new=True))
SAME_EVENT: Final = Guard(AGREEING, wrapped(EventCheck, "_closer", _each_row))
SAME_CHECKPOINT: Final = Guard(AGREEING, instead(step1_root_note, "dict", _Listed, new=True))
SAME_LEAF: Final = Guard(AGREEING, instead(StoredLeaf, "__ne__", lambda *_: True))
SAME_REJECTED: Final = Guard(AGREEING, instead(RejectedRows, "at", _one_row))
