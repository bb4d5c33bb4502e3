"""Kafka's jars: fetched once into the user's cache, each checked against the committed lock file, and never fetched again."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import platformdirs
from jgo.constants import MAVEN_CENTRAL_URL

from tallystick_schemas.errors import ParseError

from ..errors import DiskFull, FetchFailed, WrongSum

Progress = Callable[[int, int], None]
"""(bytes so far, bytes in all)."""
_BLOCK = 256 * 1024
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Jar:
    """One line of the lock file. `size` in bytes, `sha256` in hex."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where a Maven repository has it."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.name}"


def parse_lock(text: str) -> list[Jar]:
    """The jars of a lock file; ParseError names the line that is no entry."""
    jars: list[Jar] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        parts = line.split(" ")
        coordinates = parts[0].split(":")
        if len(parts) != 3 or len(coordinates) != 3 or not parts[1].isdigit() or len(parts[2]) != 64:
            raise ParseError(f"jars.lock, line {number}: not 'group:artifact:version size sha256'")
        group, artifact, version = coordinates
        jars.append(Jar(group, artifact, version, int(parts[1]), parts[2]))
    return jars


def locked_jars() -> list[Jar]:
    """The jars that this version runs Kafka from."""
    return parse_lock(resources.files(__package__).joinpath("jars.lock").read_text())


def cache_directory() -> Path:
    """`TALLYSTICK_CACHE`, or the platform's place for a user's caches."""
    return Path(os.environ.get("TALLYSTICK_CACHE") or platformdirs.user_cache_dir("tallystick", appauthor=False))


def ensure_jars(cache: Path | None = None, progress: Progress | None = None, base: str = MAVEN_CENTRAL_URL) -> Path:
    """The folder with every jar of the lock file, checked. Only what is missing is fetched; FetchFailed, WrongSum or DiskFull otherwise."""
    jars = locked_jars()
    folder = (cache or cache_directory()) / "kafka-jars"
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder):
        missing = [jar for jar in jars if not _is_good(folder, jar)]
        if missing:
            _fetch_all(folder, missing, progress, base)
    return folder


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two first starts at once share one fetch."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_good(folder: Path, jar: Jar) -> bool:
    """Whether the jar is there with the right sum. 44 MB hash in 40 ms, so every start checks them all."""
    path = folder / jar.name
    if not path.exists():
        return False
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise WrongSum(path, jar.sha256, found)
    return True


def _fetch_all(folder: Path, jars: list[Jar], progress: Progress | None, base: str) -> None:
    total = sum(jar.size for jar in jars)
    free = shutil.disk_usage(folder).free
    if free < total + 16 * _BLOCK:
        raise DiskFull(folder, free >> 20, (total >> 20) + 4)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    with ThreadPoolExecutor(max_workers=4) as pool:
        for _ in pool.map(lambda jar: _fetch(folder, jar, advance, base), jars):
            pass


def _fetch(folder: Path, jar: Jar, advance: Callable[[int], None], base: str) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{jar.name}.")
    temporary = Path(name)
    digest = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(f"{base}/{jar.path}", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - https, from a constant
            size = 0
            while block := answer.read(_BLOCK):
                size += len(block)
                if size > jar.size:
                    break
                digest.update(block)
                file.write(block)
                advance(len(block))
        if digest.hexdigest() != jar.sha256:
            raise WrongSum(folder / jar.name, jar.sha256, digest.hexdigest())
        temporary.replace(folder / jar.name)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise FetchFailed(jar.name, str(getattr(error, "reason", error))) from error
    finally:
        temporary.unlink(missing_ok=True)
