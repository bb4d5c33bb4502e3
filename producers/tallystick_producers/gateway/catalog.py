"""What repositories hold, looked at off the event loop and kept for a moment; revisions and entity tags made from what the file system says."""

import asyncio
import time
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from .errors import Refusal, not_found
from .folder_store import FileKey, FolderStore, Manifest, Repo
from .routes import DEFAULT_REVISION, Route

_KEEP_S: Final = 1.0
_MAX_KEPT: Final = 1000
WEIGHTS: Final = (".safetensors", ".bin", ".gguf", ".pt", ".pth", ".ckpt", ".h5", ".onnx", ".msgpack", ".npz")


@dataclass(frozen=True)
class Listing:
    """A manifest with its revision (40 hex digits, from names and states of all files) and its number of weight files."""

    manifest: Manifest
    commit: str
    parts: int

    @property
    def repo(self) -> Repo:
        return self.manifest.repo

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds something; the root is the empty path. Made once: a request may ask about thousands of paths."""
        found = {""}
        for path in self.manifest.files:
            while (path := path.rpartition("/")[0]) not in found:
                found.add(path)
        return frozenset(found)

    @property
    def version(self) -> str:
        return self.manifest.meta.version or self.commit[:12]


def entity_tag(key: FileKey) -> str:
    """A strong tag of a file's state. From the file system's facts, so that a model of 100 GB need not be read before its first byte goes out."""
    return sha256(repr(tuple(key)).encode()).hexdigest()


def _listing(manifest: Manifest) -> Listing:
    digest = sha256()
    for path, key in manifest.files.items():
        digest.update(f"{path}\0{entity_tag(key)}\n".encode())
    return Listing(manifest, digest.hexdigest()[:40], sum(path.endswith(WEIGHTS) for path in manifest.files))


def missing(route: Route) -> Refusal:
    """What is told of a repository that is not there, and of one that is hidden: other words, or another header, would say which of them it is."""
    where = "at this path" if route.door == "files" else f"called {route.repo} here"
    return not_found("RepoNotFound", f"There is no {route.kind} {where}.")


def check_revision(route: Route, listing: Listing) -> None:
    """A revision must be `main` or the one that stands now. For after the check of roles: the refusal says where the repository stands."""
    if route.rev not in (None, DEFAULT_REVISION, listing.commit):
        raise not_found("RevisionNotFound", f"{route.repo} has no revision {route.rev}; it stands at {listing.commit}.")


class Catalog:
    """Listings by repository."""

    def __init__(self, store: FolderStore) -> None:
        self.store = store
        self._kept: dict[Repo, tuple[float, Listing]] = {}

    async def listing(self, repo: Repo) -> Listing | None:
        """As it was at most a second ago; None when there is no such repository."""
        kept = self._kept.get(repo)
        if kept is not None and time.monotonic() - kept[0] < _KEEP_S:
            return kept[1]
        listing = await asyncio.to_thread(self._look, repo)
        if listing is None:
            return None
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[repo] = (time.monotonic(), listing)
        return listing

    def _look(self, repo: Repo) -> Listing | None:
        return _listing(self.store.scan(repo)) if self.store.is_repo(repo) else None

    async def find(self, route: Route) -> tuple[Listing, str]:
        """The listing that a route names, and the path inside it; Refusal 404 when there is none. Whom it is for is not looked at here."""
        assert route.kind is not None
        if route.door != "files":
            tries = [(route.repo, route.path)]
        else:
            tries = [("/".join(route.names[:length]), "/".join(route.names[length:])) for length in (1, 2) if len(route.names) >= length]
        for name, path in tries:
            if (listing := await self.listing(Repo(route.kind, name))) is not None:
                return listing, path
        raise missing(route)
