"""How a lock's probe is told from an access: the outbox asks each gateway, with the canary's token, whether a subject would get in (docs/adr/0016).

The role is given by the operator's token file, the attribute by the gateway. One without the other is no probe: anybody may ask at that address,
and is refused.
"""

from typing import Final

from .events import Event

PROBE_ROLE: Final = "tallystick-probe"
"""The role of the canary's token, which opens nothing but probes."""
PROBE_ATTR: Final = "probe"
"""The key in an event's attrs; its value is `true`."""
PROOF_KIND: Final = "proof"
"""The resource kind of what the outbox writes down about a lock at a point, by `incident.update`: `denied` when it holds."""


def is_probe(event: Event) -> bool:
    """Whether our own canary asked, or its being refused is written down. That is a lock that holds, nobody's attempt."""
    if event.action == "incident.update" and event.resource.kind == PROOF_KIND:
        return event.outcome == "denied"  # a lock that does not hold is nothing to look over
    return PROBE_ATTR in (event.attrs or {}) and PROBE_ROLE in (event.actor.roles or ())
