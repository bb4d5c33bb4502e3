"""Which credential a finding is about."""

from typing import Any

from .base import State


def one_credential(state: State, credential: str, at: float, window_s: float) -> str | None:
    """The credential when all that spoke within the window spoke with one; it is what gets locked then (docs/adr/0010).

    Two are remembered, the ones that spoke last: a token of yesterday must not make today's finding one about a principal.
    """
    spoke: list[Any] | None = state.get("spoke")
    if spoke is None:
        state["spoke"] = [credential, at]
        return credential or None
    # Names and types before anything is compared: asked seven times an event, and compiled it is a third of the time.
    known: str = spoke[0]
    if len(spoke) == 2 and known == credential:
        last: float = spoke[1]
        if at > last:
            spoke[1] = at
        return credential or None
    spoke = state["spoke"] = _newest_two(spoke, credential, at, window_s)
    return None if len(spoke) > 2 else spoke[0] or None


def _newest_two(spoke: list[Any], credential: str, at: float, window_s: float) -> list[Any]:
    """[name, time, name, time] of the two that spoke last, without the one that did before the window."""
    times: dict[str, float] = dict(zip(spoke[::2], spoke[1::2], strict=True))
    times[credential] = max(at, times.get(credential, at))
    newest = max(times.values())
    held = sorted((time, name) for name, time in times.items() if newest - time <= window_s)[-2:]
    return [part for time, name in held for part in (name, time)]
