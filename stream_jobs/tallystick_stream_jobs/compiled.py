"""Machine code of exactly these sources, or none: what `tallystick_infra.compiling` made is used while no source has changed since."""

import importlib.util
import os
import sys
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

FOLDER: Final = "_compiled"
GROUP: Final = "tallystick_detectors"
STAMP: Final = "SOURCES"
SWITCH: Final = "TALLYSTICK_COMPILED"
"""Set to 0, it has Python read the sources."""


def sum_of_sources(package: Path) -> str:
    """Of all of a package's sources: constants of one file are written into the code of others (BLAKE2b, hexadecimal)."""
    one = blake2b(digest_size=16)
    for path in sorted(package.glob("*.py")):
        raw = path.read_bytes()
        one.update(f"{path.name}\0{len(raw)}\0".encode() + raw)
    return one.hexdigest()


def shared_name() -> str:
    """The module that holds the code of all others, as mypyc names it."""
    return f"{GROUP}__mypyc"


def take_compiled(package: Path) -> bool:
    """Load what is shared by the compiled modules of a package, if they were made from its sources for this Python.

    ImportError with the mend when it was, and cannot be loaded.
    """
    library, stamp = package / FOLDER / f"{shared_name()}{EXTENSION_SUFFIXES[0]}", package / FOLDER / STAMP
    if os.environ.get(SWITCH) == "0" or not library.is_file() or not stamp.is_file():
        return False
    if stamp.read_text() != sum_of_sources(package):
        return False
    spec = importlib.util.spec_from_file_location(shared_name(), library)
    if spec is None or spec.loader is None:
        return False
    try:
        module = importlib.util.module_from_spec(spec)
        sys.modules[shared_name()] = module
        spec.loader.exec_module(module)
    except ImportError as error:
        raise ImportError(
            f"{library} cannot be loaded ({error}): delete {library.parent}, or set {SWITCH}=0, and run as written"
        ) from error
    return True
