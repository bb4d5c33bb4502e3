"""The policy file `detection.yaml`: thresholds, modes, and who is left alone, why and until when. Pure but for `load` and `reload`."""

from .load import FILE_NAME, load
from .model import Bar, DetectionPolicy, DetectorPolicy, Exemption, Grant, Noise, Suppression
from .parse import parse

__all__ = [
    "FILE_NAME",
    "Bar",
    "DetectionPolicy",
    "DetectorPolicy",
    "Exemption",
    "Grant",
    "Noise",
    "Suppression",
    "load",
    "parse",
]
