"""The detectors that we ship, and how they are made with the thresholds of a deployment."""

from collections.abc import Callable, Mapping
from typing import Final

from ..errors import ParametersRefused
from .base import Meta, Rule, problems
from .d01_bulk_objects import BulkObjects
from .d02_bytes import Volume
from .d03_whole_model import WholeModel
from .d04_low_and_slow import LowAndSlow
from .d05_enumeration import Enumeration
from .d06_first_access import FirstAccess
from .d07a_key_fork import KeyFork
from .d07b_travel import Travel
from .d08_off_hours import OffHours
from .d09_spike import Spike
from .d10_extraction import Extraction
from .d11_recon import Recon
from .d12_telemetry import Telemetry
from .d13_canary import Canary
from .d14_together import Together
from .d15_hijack import Hijack

Factory = Callable[[Mapping[str, float] | None], Rule]

FACTORIES: Final[tuple[Factory, ...]] = (
    BulkObjects,
    Volume,
    WholeModel,
    LowAndSlow,
    Enumeration,
    FirstAccess,
    KeyFork,
    Travel,
    OffHours,
    Spike,
    Extraction,
    Recon,
    Telemetry,
    Canary,
    Together,
    Hijack,
)
RULES: Final[tuple[Rule, ...]] = tuple(make(None) for make in FACTORIES)
"""All with their defaults."""
METAS: Final[Mapping[str, Meta]] = {rule.meta.id: rule.meta for rule in RULES}


def check_parameters(parameters: Mapping[str, Mapping[str, float]]) -> list[str]:
    """All that is wrong with thresholds (detector -> name -> value), one sentence each; empty when they can be used."""
    found = [f"there is no detector {name} (there are {', '.join(sorted(METAS))})" for name in parameters if name not in METAS]
    return found + [text for name, given in parameters.items() if name in METAS for text in problems(METAS[name], given)]


def build_rules(parameters: Mapping[str, Mapping[str, float]] | None = None) -> tuple[Rule, ...]:
    """Every detector with these thresholds, in the order of their ids; ParametersRefused with all that is wrong at once."""
    given = parameters or {}
    if found := check_parameters(given):
        raise ParametersRefused(found)
    return tuple(make(given.get(rule.meta.id)) for make, rule in zip(FACTORIES, RULES, strict=True))
