"""The folder of artifacts on disk: `<root>/<models|datasets>/<name or org/name>/files…`. Blocking; the catalog calls it off the event loop.

What is served is exactly what is listed: regular files whose names are UTF-8 and not hidden. Links may point within their repository or to a shared
folder of the root beside models/ and datasets/ (a blob store), never out of the root or into another repository, whose labels and canaries they would dodge.
A folder right under models/ (or datasets/) that holds a file is a repository; one that holds only folders is an organisation of repositories.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from .errors import GatewaySetupError, RepoMetaError, StoreChanged
from .meta_file import MetaFaults, read_meta
from .repo_meta import META_NAME, RepoMeta, unusable_meta
from .routes import KINDS, Kind

MAX_FILES: Final = 200_000
_FOLDERS: Final[dict[Kind, str]] = {kind: folder for folder, kind in KINDS.items()}
_F_GETPATH: Final = 50
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # non-blocking: a FIFO must not hang the thread that opens it


class FileKey(NamedTuple):
    """What tells one state of a file from another. ctime, because utime() can't set it back."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Repo(NamedTuple):
    """One repository: kind, and name within it (`name` or `org/name`)."""

    kind: Kind
    name: str

    @property
    def id(self) -> str:
        """Resource id in events, and path under the root."""
        return f"{_FOLDERS[self.kind]}/{self.name}"


@dataclass(frozen=True)
class Manifest:
    """What a repository holds at one look: path inside it -> key. `fault`: why the owner's words cannot be used; empty when they can."""

    repo: Repo
    files: Mapping[str, FileKey]
    meta: RepoMeta
    fault: str = ""


def file_key(facts: os.stat_result) -> FileKey:
    """The key of a file's present state."""
    return FileKey(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


class FolderStore:
    """Lists and opens what lies under one root."""

    def __init__(self, root: Path) -> None:
        self._faults = MetaFaults()
        try:
            self.root = root.resolve(strict=True)
        except OSError as error:
            raise GatewaySetupError(f"artifact folder {root} cannot be read: {error.strerror}") from error
        if not self.root.is_dir():
            raise GatewaySetupError(f"artifact folder {root} is not a folder")
        if sys.platform not in ("linux", "darwin"):
            raise GatewaySetupError("the gateway needs Linux or macOS: elsewhere it cannot tell where an opened file really lies")

    def meta(self, repo: Repo) -> RepoMeta:
        """What its owner says about a repository; RepoMetaError when that cannot be used."""
        return read_meta(self.root / repo.id / META_NAME)

    def repos(self, kind: Kind) -> list[Repo]:
        """All repositories of a kind, sorted."""
        found = []
        for name in _folders(self.root / _FOLDERS[kind]):
            if self.is_repo(repo := Repo(kind, name)):
                found.append(repo)
            else:
                found += [Repo(kind, f"{name}/{inner}") for inner in _folders(self.root / repo.id)]
        return sorted(found)

    def is_repo(self, repo: Repo) -> bool:
        """Whether the folder is there and a repository; no part of its path may be a link."""
        folder = self.root / repo.id
        names = repo.name.split("/")
        if len(names) > 2 or any(name.startswith(".") for name in names) or not _is_real_folder(self.root, folder):
            return False
        if len(names) == 1:
            return _holds_file(folder)
        return not self.is_repo(Repo(repo.kind, names[0]))

    def scan(self, repo: Repo) -> Manifest:
        """Everything the repository serves now."""
        folder = self.root / repo.id
        files: dict[str, FileKey] = {}
        meta, fault = self._meta_or_fault(repo)
        for path, key in self._walk(folder, ""):
            files[path] = key
            if len(files) > MAX_FILES:
                raise StoreChanged(f"{repo.id} holds more than {MAX_FILES} files, which the gateway does not serve", hidden=meta.hidden)
        return Manifest(repo, dict(sorted(files.items())), meta, fault)

    def _meta_or_fault(self, repo: Repo) -> tuple[RepoMeta, str]:
        fault = ""
        try:
            meta = self.meta(repo)
        except RepoMetaError as error:
            meta, fault = unusable_meta(hidden=error.hides), str(error)
        self._faults.tell(self.root / repo.id / META_NAME, fault)
        return meta, fault

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, FileKey]]:
        for entry in _entries(folder):
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(folder / entry.name, f"{path}/")
            elif path != META_NAME and (key := self._servable(entry, path)) is not None:
                yield path, key

    def _servable(self, entry: os.DirEntry[str], path: str) -> FileKey | None:
        with contextlib.suppress(OSError):  # gone since the listing, or a link to nowhere: not served
            facts = entry.stat()
            repo_root = entry.path[: -len(path) - 1]
            if stat.S_ISREG(facts.st_mode) and (not entry.is_symlink() or self._inside(os.path.realpath(entry.path), repo_root)):
                return file_key(facts)
        return None

    def _inside(self, real: str, repo_root: str) -> bool:
        """Whether a real path may be served as part of the repository at `repo_root`."""
        if real.startswith(repo_root + os.sep):
            return True
        top = real.removeprefix(f"{self.root}{os.sep}").partition(os.sep)[0]
        return real.startswith(f"{self.root}{os.sep}") and top not in KINDS and not top.startswith(".")

    def open(self, repo: Repo, path: str, key: FileKey) -> int:
        """A file descriptor of the file that the listing named, in the state that it named; StoreChanged otherwise.

        Folders may be swapped for links between the look and the opening: what counts is where the opened file really lies.
        """
        try:
            fd = os.open(self.root / repo.id / path, _OPEN_FLAGS)
        except OSError as error:
            raise StoreChanged(f"{repo.id}/{path} cannot be opened: {error.strerror}") from error
        try:
            self._check_opened(fd, repo, path, key)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_opened(self, fd: int, repo: Repo, path: str, key: FileKey) -> None:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or not self._inside(_real_path(fd), str(self.root / repo.id)):
            raise StoreChanged(f"{repo.id}/{path} does not lie in its folder")
        if file_key(facts) != key:
            raise StoreChanged(f"{repo.id}/{path} changed since it was listed")


def _real_path(fd: int) -> str:
    if sys.platform == "linux":
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    import fcntl

    return fcntl.fcntl(fd, _F_GETPATH, b"\0" * 1024).rstrip(b"\0").decode("utf-8", "surrogateescape")


def _is_real_folder(root: Path, folder: Path) -> bool:
    return folder.is_dir() and os.path.realpath(folder) == str(folder) and folder.is_relative_to(root)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and _is_utf8(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def _holds_file(folder: Path) -> bool:
    return any(not entry.is_dir(follow_symlinks=False) for entry in _entries(folder))
