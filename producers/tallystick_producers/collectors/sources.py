"""Files, directories, patterns and archives -> sources: each a name for its place, and a stream of its bytes."""

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import IO, Final, cast

from ..errors import SourceUnreadable

BROKEN: Final = (OSError, EOFError, zlib.error, tarfile.TarError)
"""What reading may raise; gzip.BadGzipFile is an OSError."""
_ARCHIVES: Final = (".tar", ".tar.gz", ".tgz")
_PAPERS: Final = ("readme", "license", "licence", "notice", "changelog")


@dataclass(frozen=True)
class Opened:
    """A source that is open. `whole`: nothing will be added to it, so that its last line needs no end. `raw`: the file on disk."""

    name: str
    stream: IO[bytes]
    raw: IO[bytes]
    device: int
    inode: int
    whole: bool


def expand(patterns: Sequence[str], suffixes: tuple[str, ...]) -> list[Path]:
    """The files of paths, patterns and directories, in order, each once; a path that is nothing stays in, for reading to say so.

    In a directory only names with one of `suffixes` count (any, when there are none), and no hidden file, README or licence.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = sorted(glob(pattern, recursive=True)) if has_magic(pattern) and not Path(pattern).exists() else [pattern]  # noqa: PTH207 - patterns may be absolute
        for match in matches or [pattern]:
            path = Path(match)
            inside = sorted(one for one in path.rglob("*") if one.is_file() and wanted(one.name, suffixes)) if path.is_dir() else [path]
            found |= dict.fromkeys(Path(os.path.realpath(one)) for one in inside)
    return list(found)


def wanted(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a file of a directory or archive looks like a log."""
    name = Path(name).name.lower()
    if name.startswith((".", *_PAPERS)) or name.endswith(".md"):
        return False
    return not suffixes or name.removesuffix(".gz").endswith(suffixes) or name.endswith(_ARCHIVES)


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(_ARCHIVES)


@contextmanager
def open_source(path: Path) -> Iterator[Opened]:
    """One file, .gz or not. SourceUnreadable when it cannot be opened."""
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            status = os.fstat(raw.fileno())
        except OSError as error:
            raise SourceUnreadable(str(path), error.strerror or str(error)) from error
        packed = path.name.lower().endswith(".gz")
        stream = stack.enter_context(gzip.open(raw, "rb")) if packed else raw
        yield Opened(str(path), cast(IO[bytes], stream), raw, status.st_dev, status.st_ino, packed)


def open_members(path: Path, suffixes: tuple[str, ...]) -> Iterator[Opened]:
    """The members of an archive that look like logs, one after the other, as `path!member`. Nothing is unpacked to disk."""
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as archive:
            for member in archive:
                if not member.isreg() or not wanted(member.name, suffixes):
                    continue
                inner = archive.extractfile(member)
                assert inner is not None
                with inner, gzip.GzipFile(fileobj=inner) as unpacked:
                    stream = unpacked if member.name.lower().endswith(".gz") else inner
                    yield Opened(f"{path}!{member.name}", cast(IO[bytes], stream), raw, 0, 0, True)
    except BROKEN as error:
        raise SourceUnreadable(str(path), str(error)) from error
