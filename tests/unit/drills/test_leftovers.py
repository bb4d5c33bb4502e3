"""Clearing up after drills: tokens go, whatever else stands in their file."""

from pathlib import Path

from tallystick_infra.deployment import Deployment
from tallystick_infra.drills.leftovers import Cleared, _tokens
from tallystick_producers.gateway.tokens import add_token


def test_tokens_of_drills_go_beside_a_line_that_cannot_be_read(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    path, cleared = Path(deployment.gateway().tokens_file), Cleared()
    add_token(path, "drill-0a1b2c3d-thief@drill.invalid", "human")
    path.write_bytes(b"half a li\n" + path.read_bytes())
    _tokens(deployment, lambda run: run is not None, cleared)
    assert cleared.tokens == 1
    assert path.read_bytes() == b"half a li\n"
