"""Paths: what each asks for, and that no bytes make anything but a route or a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.gateway.errors import Refusal
from tallystick_producers.gateway.routes import Route, parse_route


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (b"/healthz", Route("health")),
        (b"/files/models/a/b/c.bin", Route("files", "model", names=("a", "b", "c.bin"))),
        (b"/files/datasets/a/", Route("files", "dataset", names=("a",))),
        (b"/api/models/a", Route("info", "model", "a", "main")),
        (b"/api/models/org/a", Route("info", "model", "org/a", "main")),
        (b"/api/datasets/org/a/revision/abc", Route("info", "dataset", "org/a", "abc")),
        (b"/api/models/a/tree/main/sub/x", Route("tree", "model", "a", "main", ("sub", "x"))),
        (b"/api/models/org/a/paths-info/main", Route("paths", "model", "org/a", "main")),
        (b"/a/resolve/main/x.bin", Route("resolve", "model", "a", "main", ("x.bin",))),
        (b"/org/a/resolve/abc/sub%20dir/%C3%BC.bin", Route("resolve", "model", "org/a", "abc", ("sub dir", "ü.bin"))),
        (b"/datasets/org/a/resolve/main/x", Route("resolve", "dataset", "org/a", "main", ("x",))),
        (b"/a/resolve/refs%2Fpr%2F1/x", Route("resolve", "model", "a", "refs/pr/1", ("x",))),
    ],
)
def test_each_door(path: bytes, route: Route) -> None:
    assert parse_route(path) == route


@pytest.mark.parametrize(
    "path", [b"/%2e%2e", b"/a/../b", b"/files//x", b"/files/models/a%2Fb/c", b"/a/resolve/main/%5c", b"/%zz", b"/%ff", b"/a%00"]
)
def test_paths_that_no_honest_client_sends(path: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_route(path)
    assert (refusal.value.status, refusal.value.outcome) == (400, "denied")


_PARTS = st.sampled_from(
    [b"files", b"models", b"datasets", b"api", b"resolve", b"tree", b"..", b".", b"%2e%2e", b"a", b"%2F", b"%00", b"\\", b""]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_PARTS, max_size=8).map(lambda parts: b"/" + b"/".join(parts))))
def test_any_bytes_are_a_route_or_a_refusal_and_no_route_climbs(path: bytes) -> None:
    try:
        route = parse_route(path)
    except Refusal:
        return
    for name in (*route.names, *route.repo.split("/")):
        assert name not in ("..", ".")
        assert not set(name) & {"/", "\\", "\0"}
