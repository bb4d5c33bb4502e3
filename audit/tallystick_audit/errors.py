"""Errors of the auditors' tools, by whose fault it is.

AuditError
└── UnusableHistory    what was to be audited cannot be read at all: exit code 3

What a verification finds wrong is not an error but its result: `verify.report.Failure`.
"""

from typing import Final

from tallystick_schemas.errors import TallystickError


class AuditError(TallystickError):
    """Base of this package's errors."""


class UnusableHistory(AuditError):
    """There is nothing that could be judged: the store is away, refuses, or has no such tables."""

    exit_code: Final = 3
