"""Listings: what a repository holds, its revision, and pages that neither lose nor repeat a file."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.growth import QUADRATIC, growth

from tallystick_producers.gateway import hub_api
from tallystick_producers.gateway.catalog import Catalog, Listing, check_revision
from tallystick_producers.gateway.errors import GatewaySetupError, Refusal
from tallystick_producers.gateway.folder_store import FileKey, FolderStore, Manifest, Repo
from tallystick_producers.gateway.repo_meta import RepoMeta
from tallystick_producers.gateway.routes import parse_route

REPO = Repo("model", "m")


def put(root: Path, path: str, content: bytes = b"x") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def listing_of(root: Path, repo: Repo = REPO) -> Listing:
    return asyncio.run(Catalog(FolderStore(root)).listing(repo))


def made_listing(paths: set[str]) -> Listing:
    return Listing(Manifest(REPO, {path: FileKey(0, 0, 1, 0, 0) for path in sorted(paths)}, RepoMeta()), "c" * 40, 0)


def test_the_revision_follows_every_change(tmp_path: Path) -> None:
    seen: set[str] = set()
    for change in ("a.bin", "b.bin", "sub/a.bin", "a.bin"):
        put(tmp_path, f"models/m/{change}")
        os.utime(tmp_path / f"models/m/{change}", ns=(1, len(seen) + 1))
        seen.add(listing_of(tmp_path).commit)
    (tmp_path / "models/m/b.bin").unlink()
    seen.add(listing_of(tmp_path).commit)
    assert len(seen) == 5
    assert listing_of(tmp_path).commit in seen


def test_weight_parts_are_counted(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.bin", "c.gguf", "config.json", "sub/d.pt"):
        put(tmp_path, f"models/m/{name}")
    assert listing_of(tmp_path).parts == 4


def test_organisations_hold_repositories(tmp_path: Path) -> None:
    put(tmp_path, "models/flat/a.bin")
    put(tmp_path, "models/org/one/a.bin")
    put(tmp_path, "models/org/two/sub/a.bin")
    put(tmp_path, "models/org/two/b.bin")
    store = FolderStore(tmp_path)
    assert store.repos("model") == [Repo("model", "flat"), Repo("model", "org/one"), Repo("model", "org/two")]
    found = asyncio.run(Catalog(store).find(parse_route(b"/files/models/org/two/sub/a.bin")))
    assert (found[0].repo.name, found[1]) == ("org/two", "sub/a.bin")


@pytest.mark.parametrize("rev", ["v1", "0" * 40])
def test_another_revision_is_not_found(tmp_path: Path, rev: str) -> None:
    put(tmp_path, "models/m/a.bin")
    listing = listing_of(tmp_path)
    with pytest.raises(Refusal) as refusal:
        check_revision(parse_route(f"/m/resolve/{rev}/a.bin".encode()), listing)
    assert refusal.value.code == "RevisionNotFound"
    for current in (listing.commit, "main"):
        check_revision(parse_route(f"/m/resolve/{current}/a.bin".encode()), listing)


def test_a_root_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewaySetupError, match="cannot be read"):
        FolderStore(tmp_path / "none")


_NAME = st.text("ab-.", min_size=1, max_size=3).filter(lambda name: name.strip(".") != "")
_PATHS = st.sets(st.lists(_NAME, min_size=1, max_size=3).map("/".join), min_size=1, max_size=30)


@given(_PATHS, st.booleans(), st.integers(1, 7))
def test_pages_hold_every_row_once_in_order(paths: set[str], recursive: bool, page: int) -> None:
    listing = made_listing(paths)
    rows: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found, cursor = hub_api.tree(listing, "", cursor, recursive=recursive, size=page)
        assert len(found) <= page
        rows += [row["path"] for row in found]
    wanted = paths if recursive else {path.partition("/")[0] for path in paths}
    assert rows == sorted(wanted)


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"paths": ["a", "b"], "expand": false}', ["a", "b"]),
        (b'{"paths": "a"}', ["a"]),
        (b'{"paths": [1, "a"]}', ["a"]),
        (b"paths=a%20b&paths=c&expand=False", ["a b", "c"]),
        (b"", []),
        (b"[]", []),
        (b"\xff\xfe", []),
        (b'{"paths": 7}', []),
    ],
)
def test_paths_info_takes_json_and_forms(body: bytes, paths: list[str]) -> None:
    assert hub_api.wanted_paths(body) == paths


def test_paths_info_tells_files_and_folders_and_leaves_the_rest_out() -> None:
    rows = hub_api.paths_info(made_listing({"a/b.bin", "c.bin"}), ["a", "a/b.bin", "no", ""])
    assert [(row["type"], row["path"]) for row in rows] == [("directory", "a"), ("file", "a/b.bin")]
    assert hub_api.paths_info(made_listing({"c.bin"}), ["c.bin"] * 3) == hub_api.paths_info(made_listing({"c.bin"}), ["c.bin"])


@given(st.sets(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join), max_size=8))
def test_folders_are_what_is_before_a_slash(paths: set[str]) -> None:
    folders = {""} | {"/".join(path.split("/")[:n]) for path in paths for n in range(1, path.count("/") + 1)}
    assert made_listing(paths).folders == folders


def test_asking_about_many_paths_costs_what_their_number_says() -> None:
    """A request of 255 KB about paths that are not there held the gateway for 73 s: each was compared with every file."""

    def asked(size: int) -> tuple[Listing, list[str]]:
        return made_listing({f"{n}/x.bin" for n in range(size)}), [f"no/{n}" for n in range(size)]

    assert growth(lambda both: hub_api.paths_info(*both), asked, 500) < QUADRATIC / 2
