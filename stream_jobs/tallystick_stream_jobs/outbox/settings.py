"""Section [outbox] of tallystick.toml. Connectors have a file of their own, connectors.toml."""

from dataclasses import dataclass

from .core import Limits
from .proofs import ProofLimits


@dataclass(frozen=True)
class OutboxSettings:
    """How long and how often to try, and when a revocation must have held. Hours, days and seconds, as the names say."""

    base_s: float = 1.0
    cap_s: float = 300.0
    attempts: int = 500
    give_up_h: float = 24.0
    kept_days: float = 32.0
    in_flight: int = 8
    """Attempts at once, each a thread while it lasts."""
    prove_within_s: float = 10.0
    """A point where a locked credential works for longer is a finding, and again each `prove_again_s`."""
    prove_again_s: float = 60.0
    prove_for_h: float = 24.0
    """A point that nobody can reach is asked for so long."""

    prove_held_s: float = 300.0
    """A point that refused is asked again after so long, while the lock holds."""

    def proof_limits(self) -> ProofLimits:
        return ProofLimits(self.prove_within_s, self.prove_again_s, self.prove_for_h, self.prove_held_s)

    def limits(self) -> Limits:
        return Limits(self.base_s, self.cap_s, self.attempts, self.give_up_h, self.kept_days)
