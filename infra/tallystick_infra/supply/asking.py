"""Shell: where known vulnerabilities are asked for. Advisories on disk need no network; else pip-audit asks OSV. Neither ever takes silence for "none"."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tallystick_schemas.words import counted

from ..errors import NothingAsked
from .advisories import Advisory, Found, match
from .parts import Part, canonical_name

_MAX_RECORD: Final = 16 << 20
_TIMEOUT_S: Final = 900
_decode: Final = msgspec.json.Decoder(Advisory).decode


@dataclass(frozen=True)
class Answer:
    """`asked`: how many parts `source` was asked about. `doubts`: why that is not the whole of the lock file; `beside`: what else was not asked about."""

    source: str
    asked: int
    found: tuple[Found, ...]
    doubts: tuple[str, ...]
    beside: tuple[str, ...]


def ask_files(parts: Sequence[Part], path: Path) -> Answer:
    """What the advisories in a folder or zip file (as OSV gives them out) say; NothingAsked where there are none for any of the parts' kinds."""
    newest, count, kinds, broken = "", 0, set[str](), 0
    advisories = []
    for raw in _records(path):
        try:
            advisory = _decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            broken += 1
            continue
        advisories.append(advisory)
        newest, count = max(newest, advisory.modified), count + 1
        kinds |= {one.package.ecosystem for one in advisory.affected}
    asked = [part for part in parts if part.ecosystem in kinds]
    if not asked:
        raise NothingAsked(f"{path} has {count} advisories, and none about packages of Python or jars")
    matched = match(asked, advisories)
    doubts = [f"{path} has no advisories of PyPI, so no package of Python was asked about"] if "PyPI" not in kinds else []
    doubts += [f"{path} has {counted(broken, 'file that is', 'files that are')} no advisory"] if broken else []
    doubts += [f"{one}: whether this version is affected, a person must see" for one in matched.unjudged]
    beside = [f"{path} has no advisories of Maven, so Kafka's jars were not asked about"] if "Maven" not in kinds else []
    return Answer(
        f"{counted(count, 'advisory', 'advisories')} in {path}, the newest of {newest[:10]}",
        len(asked),
        matched.found,
        tuple(doubts),
        tuple(beside),
    )


def _records(path: Path) -> Iterator[bytes]:
    """The JSON files; NothingAsked where the path cannot be read."""
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                yield file.read_bytes()
            return
        with zipfile.ZipFile(path) as packed:
            for info in packed.infolist():
                if info.filename.endswith(".json"):
                    yield packed.read(info) if info.file_size <= _MAX_RECORD else b""  # counted as no advisory
    except (OSError, zipfile.BadZipFile) as error:
        raise NothingAsked(f"{path} cannot be read as a folder or zip file of advisories ({error})") from error


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str
    fix_versions: list[str] = []
    aliases: list[str] = []
    description: str = ""


class _Dependency(msgspec.Struct, frozen=True):
    name: str
    version: str = ""
    skip_reason: str = ""
    vulns: list[_Vulnerability] = []


class _Audited(msgspec.Struct, frozen=True):
    dependencies: list[_Dependency]


def ask_online(parts: Sequence[Part], program: Sequence[str] = (sys.executable, "-m", "pip_audit")) -> Answer:
    """What OSV says today about Python's packages; NothingAsked where pip-audit gets no whole answer, for whatever reason."""
    packages = {(part.name, part.version): part for part in parts if part.ecosystem == "PyPI"}
    found: list[Found] = []
    skipped, seen = dict[str, str](), set[tuple[str, str]]()
    for batch in _without_twins(packages):
        for one in _audited(batch, program):
            part = packages.get((canonical_name(one.name), one.version))
            if part is None or one.skip_reason:
                skipped[canonical_name(one.name)] = one.skip_reason
                continue
            seen.add((part.name, part.version))
            found += [Found(part, v.id, tuple(v.aliases), tuple(v.fix_versions), v.description[:200]) for v in one.vulns]
    if missing := [f"{name} {version}" for name, version in packages if (name, version) not in seen and name not in skipped]:
        raise NothingAsked(f"pip-audit gave no answer about {', '.join(missing[:5])}{' and others' if len(missing) > 5 else ''}")
    doubts = [f"{name} was not asked about: {why}" for name, why in skipped.items()]
    beside = [f"Kafka's {count} jars were not asked about: pip-audit knows Python alone"] if (count := len(parts) - len(packages)) else []
    return Answer("OSV, asked by pip-audit just now", len(seen), tuple(found), tuple(doubts), tuple(beside))


def _without_twins(packages: dict[tuple[str, str], Part]) -> list[list[Part]]:
    """Lists in which no name stands twice: pip-audit refuses two versions of one, and the lock has some for different Pythons."""
    lists: list[dict[str, Part]] = []
    for (name, _), part in packages.items():
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = part
    return [list(one.values()) for one in lists]


def _audited(parts: Sequence[Part], program: Sequence[str]) -> list[_Dependency]:
    """It ends with 1 when it found something and when it could not ask: only a whole document on standard output is an answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        # Without markers and hashes: every platform's packages are asked about, and nothing is installed.
        file.writelines(f"{part.name}=={part.version}\n" for part in parts)
        file.flush()
        options = ["-r", file.name, "--no-deps", "--disable-pip", "--progress-spinner", "off", "-s", "osv", "-f", "json"]
        try:
            done = subprocess.run([*program, *options], capture_output=True, timeout=_TIMEOUT_S, check=False)
            return msgspec.json.decode(done.stdout, type=_Audited).dependencies
        except subprocess.TimeoutExpired as error:
            raise NothingAsked(f"pip-audit did not end within {_TIMEOUT_S} s") from error
        except msgspec.MsgspecError as error:
            last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise NothingAsked(f"pip-audit gave no answer ({last[:300] or f'it ended with {done.returncode}'})") from error
