"""`audit verify`: SPEC section 11 over a stored history, read through SQL only.

One file a step, with the step's number in its name; they are pure and take rows. `source` is the port to the store, `clickhouse` the
real one, `work` puts steps together, `pool` spreads them over processes, `history` is the entry point.
"""

from .history import verify_history
from .report import Aspect, Failure, Outcome, Report

__all__ = ["Aspect", "Failure", "Outcome", "Report", "verify_history"]
