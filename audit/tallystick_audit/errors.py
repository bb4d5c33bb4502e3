"""Errors of the auditors' tools, by whose fault it is.

AuditError
├── UnusableHistory    what was to be audited cannot be read at all: exit code 3
└── UnusableNote       a note that was kept, or shall be, cannot be used: exit code 3

What a verification finds wrong is not an error but its result: `verify.report.Failure`.
"""

from pathlib import Path
from typing import Final

from tallystick_schemas.errors import TallystickError


class AuditError(TallystickError):
    """Base of this package's errors."""


class UnusableHistory(AuditError):
    """There is nothing that could be judged: the store is away, refuses, or has no such tables."""

    exit_code: Final = 3


class UnusableNote(AuditError):
    """No verdict on the history: the file is not what the auditor says that it is."""

    exit_code: Final = 3

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the note {path} cannot be used: {reason}")
