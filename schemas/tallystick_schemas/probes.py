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


def is_probe(event: Event) -> bool:
    """Whether our own canary asked. Its refusal is a lock that holds, nobody's attempt."""
    return PROBE_ATTR in (event.attrs or {}) and PROBE_ROLE in (event.actor.roles or ())
