"""Verdicts of the fold (SPEC section 6). The value is what the entry holds; judging goes in the specification's order."""

from enum import IntEnum


class Verdict(IntEnum):
    """What the fold says of one record."""

    ACCEPTED = 0
    OUT_OF_ORDER = 1
    SEEN = 2
    FORK = 3
    BAD_SIGNATURE = 4
    UNKNOWN_KEY = 5
    REVOKED_KEY = 6
    BODY_MISMATCH = 7
    MALFORMED = 8
    UNSUPPORTED_VERSION = 9
    MALFORMED_EVENT = 10
    STALE_RUN = 11

    @property
    def accepted(self) -> bool:
        """Only these two change an agent's state and bring events into the history."""
        return self <= Verdict.OUT_OF_ORDER

    @property
    def label(self) -> str:
        """The name that the specification uses."""
        return "accepted-out-of-order" if self is Verdict.OUT_OF_ORDER else self.name.lower().replace("_", "-")
