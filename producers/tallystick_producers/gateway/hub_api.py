"""Answers in the form of the Hugging Face Hub's download interface, so that unmodified clients work. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from .catalog import Listing, entity_tag

PAGE: Final = 1000


def info(listing: Listing) -> dict[str, Any]:
    """`GET /api/models/<repo>`: older clients take their file list from `siblings`."""
    name = listing.repo.name
    return {
        "_id": listing.commit[:24],
        "id": name,
        "modelId": name,
        "sha": listing.commit,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [{"rfilename": path} for path in listing.manifest.files],
    }


def tree(listing: Listing, folder: str, after: str, *, recursive: bool) -> tuple[list[dict[str, Any]], str | None]:
    """One page of `GET …/tree/<rev>`, and the cursor of the next page if there is one."""
    prefix = f"{folder}/" if folder else ""
    rows: list[dict[str, Any]] = []
    folders: set[str] = set()
    for path in listing.manifest.files:
        if not path.startswith(prefix):
            continue
        rest = path[len(prefix) :]
        if recursive or "/" not in rest:
            rows.append(_file(listing, path))
        elif (name := prefix + rest.partition("/")[0]) not in folders:
            folders.add(name)
            rows.append({"type": "directory", "path": name, "oid": listing.commit, "size": 0})
    page = [row for row in rows if row["path"] > after][: PAGE + 1] if after else rows[: PAGE + 1]
    return page[:PAGE], page[PAGE - 1]["path"] if len(page) > PAGE else None


def paths_info(listing: Listing, paths: Iterable[str]) -> list[dict[str, Any]]:
    """`POST …/paths-info/<rev>`: facts about named paths; what is not there is left out."""
    return [_file(listing, path) for path in paths if path in listing.manifest.files]


def _file(listing: Listing, path: str) -> dict[str, Any]:
    key = listing.manifest.files[path]
    return {"type": "file", "path": path, "size": key.size, "oid": entity_tag(key)[:40]}
