"""The policy file `detection.yaml`: thresholds, modes, and who is left alone, why and until when.

`parse`, `model`, `names` are pure; `load`, `reload`, `changes`, `demotions` touch files; `changes` records.
"""

from .load import FILE_NAME, load
from .model import Bar, DetectionPolicy, DetectorPolicy, Exemption, Grant, Noise, Suppression
from .parse import parse
from .reload import Reloader

__all__ = [
    "FILE_NAME",
    "Bar",
    "DetectionPolicy",
    "DetectorPolicy",
    "Exemption",
    "Grant",
    "Noise",
    "Reloader",
    "Suppression",
    "load",
    "parse",
]
