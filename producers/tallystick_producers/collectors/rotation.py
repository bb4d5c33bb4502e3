"""Which names a log has had: `app.log` becomes `app.log.1`, then `app.log.2.gz`; or `app.log-20260716`."""

import re
from pathlib import Path
from typing import Final, NamedTuple

_ROTATED: Final = re.compile(r"(.+?)(?:\.(\d{1,4})|[-.](\d{8}(?:[-_]?\d{1,10})?))?(\.gz)?", re.ASCII | re.DOTALL)


class _Name(NamedTuple):
    """A log's own name, and how far this file is from it: 0 is the log itself, n its n-th rotation; a dated one never moves again."""

    base: str
    number: int
    dated: bool


def _read(path: Path) -> _Name:
    found = _ROTATED.fullmatch(path.name)
    if found is None:
        return _Name(path.name, 0, False)
    return _Name(found[1], int(found[2] or 0), found[3] is not None)


def earlier_names(path: Path) -> list[Path]:
    """The names under which the content of `path` may have been read before, its own first."""
    base, number, _ = _read(path)
    names = [path.name, path.name.removesuffix(".gz"), base]
    names += [f"{base}.{n}{end}" for n in range(1, number) for end in ("", ".gz")]
    return [path.with_name(name) for name in dict.fromkeys(names)]


def rotated(path: Path) -> list[Path]:
    """The files that `path` may have become, oldest first. Each is further from the log than `path`, so that following them ends."""
    base, number, dated = _read(path)
    found = []
    try:
        for one in path.parent.iterdir():
            name = _read(one)
            further = name.number > number or (name.dated and not dated and number == 0)
            if name.base == base and further and one.is_file():
                found.append((one.stat().st_mtime_ns, -name.number, one.name, one))
    except OSError:
        return []  # it was moved again while we looked: the next pass finds it
    return [one for *_, one in sorted(found)]
