"""What a denial of the lock table is as an answer to a request."""

from http import HTTPStatus

from ..enforcement.table import Denial
from .errors import Refusal


def refusal_of(denial: Denial) -> Refusal:
    """GatedRepo is the code that Hub clients raise at once and show with our sentence.

    A step-up is RFC 9470's challenge: 401, and how old the proof of who it is may be. What cannot be known is denied for a moment, with 503.
    """
    if denial.command is None:
        return Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "LocksUnknown",
            denial.text,
            outcome="denied",
            policies=[denial.policy],
            facts={"retry_after": "2"},
        )
    facts = {"lock": denial.command}
    if denial.level == "step-up":
        facts["challenge"] = f'error="insufficient_user_authentication", error_description="{_DESCRIPTION}", max_age="{denial.max_age_s}"'
        return Refusal(HTTPStatus.UNAUTHORIZED, "StepUp", denial.text, outcome="denied", policies=[denial.policy], facts=facts)
    return Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", denial.text, outcome="denied", policies=[denial.policy], facts=facts)


_DESCRIPTION = "A token that was issued after the lock is needed"
