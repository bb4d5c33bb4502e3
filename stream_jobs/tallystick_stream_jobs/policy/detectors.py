"""Which detectors a policy can speak about: those of the engine, and what watches agents and noise."""

from functools import cache

from ..detectors.base import Meta
from ..detectors.engine import RULES
from ..detectors.signals import D07A, D12


@cache
def detector_metas() -> dict[str, Meta]:
    """Detector -> what it says about itself, its parameters at their defaults."""
    return {meta.id: meta for meta in (*(rule.meta for rule in RULES), D07A, D12)}
