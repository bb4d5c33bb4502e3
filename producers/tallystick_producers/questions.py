"""What `is_locked` may be asked. A wrong question must not be answered "not locked": it would let in whom a lock keeps out."""

from tallystick_schemas.events import Actor

from .errors import InvalidQuestion


def check_question(principal: object, credential: object, issued: object, wait_s: object) -> None:
    """InvalidQuestion unless these are a principal's id, a credential's id or None, Unix seconds or None, and seconds."""
    if isinstance(principal, Actor):
        raise InvalidQuestion("the principal is its id, not an Actor: ask is_locked(actor.principal, actor.credential)")
    if not isinstance(principal, str) or not principal:
        raise InvalidQuestion(f"the principal is {principal!r}, and must be its id: text that is not empty")
    if credential is not None and (not isinstance(credential, str) or not credential):
        raise InvalidQuestion(f"the credential is {credential!r}, and must be its id, text that is not empty, or None")
    if issued is not None and not _is_number(issued):
        raise InvalidQuestion(f"issued is {issued!r}, and must be a number (Unix seconds) or None")
    if not _is_number(wait_s):
        raise InvalidQuestion(f"wait_s is {wait_s!r}, and must be a number of seconds")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
