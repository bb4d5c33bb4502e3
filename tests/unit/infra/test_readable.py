"""A part whose secret cannot be read stays: it says so once for each reason, and looks again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick_infra.cli.readable import once_readable
from tallystick_infra.deployment.keyfiles import make_key, read_key
from tallystick_producers.keyfile import load_key


@pytest.mark.parametrize("read", [read_key, load_key])
def test_what_is_wrong_is_said_once_and_looked_at_again(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path, said = tmp_path / "a.key", list[str]()

    def mends() -> Iterator[None]:
        yield None
        make_key(path)
        path.chmod(0o644)
        yield None
        path.chmod(0o600)
        yield None

    step = mends()
    assert once_readable(lambda: read(path), said.append, lambda _: next(step)) is not None
    assert [("cannot be read" in one, "is open to other users" in one) for one in said] == [(True, False), (False, True)]


def test_other_errors_end_it() -> None:
    def fails() -> None:
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        once_readable(fails)
