"""Answers in the form of the Hugging Face Hub's download interface, so that unmodified clients work. Pure."""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from .catalog import Listing, entity_tag

PAGE: Final = 1000


def info(listing: Listing) -> dict[str, Any]:
    """`GET /api/models/<repo>`: older clients take their file list from `siblings`."""
    name = listing.repo.name
    return {
        "_id": listing.commit[:24],
        "id": name,
        **({"modelId": name} if listing.repo.kind == "model" else {}),
        "sha": listing.commit,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [{"rfilename": path} for path in listing.manifest.files],
    }


def tree(listing: Listing, folder: str, after: str, *, recursive: bool, size: int = PAGE) -> tuple[list[dict[str, Any]], str | None]:
    """One page of `GET …/tree/<rev>`, and the cursor of the next page if there is one."""
    prefix = f"{folder}/" if folder else ""
    rows: dict[str, dict[str, Any]] = {}
    for path in listing.manifest.files:
        if path.startswith(prefix):
            name, slash, _ = path[len(prefix) :].partition("/")
            if recursive or not slash:
                rows[path] = _file(listing, path)
            else:
                rows[prefix + name] = _folder(listing, prefix + name)
    # By path, folders among files: a cursor is the last path of the page before.
    page = [rows[path] for path in sorted(rows) if path > after][: size + 1]
    return page[:size], page[size - 1]["path"] if len(page) > size else None


def is_folder(listing: Listing, path: str) -> bool:
    """Whether the path names a folder of the repository, which its root is."""
    return path in listing.folders


def paths_info(listing: Listing, paths: Iterable[str]) -> list[dict[str, Any]]:
    """`POST …/paths-info/<rev>`: facts about named paths, each once; what is not there is left out."""
    rows = []
    for path in dict.fromkeys(paths):
        if path in listing.manifest.files:
            rows.append(_file(listing, path))
        elif path and is_folder(listing, path):
            rows.append(_folder(listing, path))
    return rows


def wanted_paths(body: bytes) -> list[str]:
    """The paths that a client names in the body of a paths-info request, which is JSON or a form."""
    try:
        paths = msgspec.json.decode(body, type=dict[str, Any]).get("paths")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return parse_qs(body.decode("latin-1")).get("paths", [])
    several = paths if isinstance(paths, list) else [paths]
    return [path for path in several if isinstance(path, str)]


def _folder(listing: Listing, path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": listing.commit}


def _file(listing: Listing, path: str) -> dict[str, Any]:
    key = listing.manifest.files[path]
    return {"type": "file", "path": path, "size": key.size, "oid": entity_tag(key)[:40]}
