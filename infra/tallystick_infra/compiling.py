"""`python -m tallystick_infra.compiling`: the detectors' rules as machine code, by mypyc (docs/adr/0019). Part of `make install`.

Nothing needs it: without a C compiler or Python's headers it says so, and rules run as they are written, a quarter slower.
"""

import io
import os
import shutil
import sysconfig
import tempfile
from contextlib import chdir, redirect_stdout
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

import tallystick_stream_jobs
from tallystick_stream_jobs.compiled import FOLDER, GROUP, STAMP, SWITCH, sum_of_sources

from .terminal import echo

DETECTORS: Final = Path(tallystick_stream_jobs.__file__).parent / "detectors"
_AROUND: Final = (
    "asking",
    "bucket",
    "credentials",
    "distinct",
    "doubts",
    "engine",
    "facts",
    "harvest",
    "peers",
    "places",
    "sketches",
    "vouching",
)
"""What rules count with, and what asks them. What reads events stays as it is: msgspec is machine code already."""


def sources() -> list[Path]:
    """Every rule, and what is around them."""
    return [*sorted(DETECTORS.glob("d[0-9]*_*.py")), *(DETECTORS / f"{name}.py" for name in _AROUND)]


def why_not() -> str | None:
    """What is missing here, with the mend."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler}); install gcc or clang"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers are missing; install python3-dev"
    return None


def compile_detectors() -> None:
    """Into the package's own folder, all or nothing. Raises what mypyc, setuptools or the compiler raise."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    stamp = sum_of_sources(DETECTORS)
    with tempfile.TemporaryDirectory() as scratch:
        # mypyc tells of each comprehension that it makes a list of.
        with chdir(DETECTORS.parent.parent), redirect_stdout(io.StringIO()):
            files = [str(path.relative_to(Path.cwd())) for path in sources()]
            extensions = mypycify(["--implicit-reexport", *files], group_name=GROUP, target_dir=scratch, opt_level="3", debug_level="0")
            build = Distribution({"name": GROUP, "ext_modules": extensions}).get_command_obj("build_ext")
            build.build_lib, build.build_temp = f"{scratch}/lib", f"{scratch}/temp"
            build.ensure_finalized()
            build.run()
        fresh = Path(scratch) / FOLDER
        fresh.mkdir()
        for made in Path(scratch, "lib").rglob(f"*{EXTENSION_SUFFIXES[0]}"):
            shutil.move(made, fresh / made.name)
        (fresh / STAMP).write_text(stamp)
        shutil.rmtree(DETECTORS / FOLDER, ignore_errors=True)
        shutil.move(fresh, DETECTORS / FOLDER)


def main() -> None:
    """Compile unless it is done; a sentence either way, and never a reason to fail."""
    if os.environ.get(SWITCH) == "0":
        echo(f"The detectors run as they are written: {SWITCH} is 0.")
        return
    if (reason := why_not()) is not None:
        echo(f"The detectors run as they are written, a quarter slower: {reason}, then run make install again.")
        return
    compile_detectors()
    echo("The detectors are compiled.")


if __name__ == "__main__":
    main()
