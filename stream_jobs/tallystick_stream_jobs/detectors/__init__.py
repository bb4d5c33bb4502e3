"""Detectors: one file a rule (`d01_…`), the engine they all run on (`engine`), and its shell on Faust (`job`).

Where `make install` found a C compiler, rules and what they count with come from `_compiled` (docs/adr/0019).
"""

from pathlib import Path
from typing import Final

from ..compiled import take_compiled

COMPILED: Final = take_compiled(Path(__file__).parent)
"""Whether rules are machine code here. They do the same either way."""
if COMPILED:
    __path__.insert(0, str(Path(__file__).with_name("_compiled")))
