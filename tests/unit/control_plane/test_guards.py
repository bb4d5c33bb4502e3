"""Every cell that something holds, seen failing with that out: a guard that nobody would miss is none, and a cell that nothing breaks tests nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.support.signing import PARTS, Speaker, key_of, opener

from tallystick_producers.errors import KeyFileError
from tallystick_producers.gateway.errors import TokenFileError
from tallystick_producers.gateway.token_file import read_tokens
from tallystick_producers.keyfile import load_key
from tallystick_schemas.roles import SIGNERS

from .cells import LIMIT, Attack, Surface
from .guards import Guard, Way, without
from .guards_envelope import KEY, ROLE
from .guards_history import PRIVATE_KEY, PRIVATE_TOKENS
from .held import HELD, STRUCTURAL
from .matrix import SURFACES
from .page import believed

PEM = key_of("gw").private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
BY_NAME = {one.name: one for one in SURFACES}
CASES = [(BY_NAME[name], attack, way) for name, cells in HELD.items() for attack, ways in cells.items() for way in ways]


def named(surface: Surface, attack: str, way: Way) -> str:
    """A test's id."""
    return f"{surface.name}-{attack}-without {' and '.join(guard.name for guard in way)}"


@pytest.mark.parametrize(("surface", "attack", "way"), [pytest.param(*one, id=named(*one)) for one in CASES])
def test_a_cell_fails_without_what_holds_it(surface: Surface, attack: Attack, way: Way, tmp_path: Path) -> None:
    """Another outcome must come out. An exception would be the reader's end and not the attack's success: it fails here as well."""
    with without(way):
        assert surface.run(attack, tmp_path) is not surface.cells[attack].outcome


DEEP = [pytest.param(*one, alone, id=f"{named(*one)}, {alone.name} apart") for one in CASES if len(one[2]) > 1 for alone in one[2]]


@pytest.mark.parametrize(("surface", "attack", "way", "alone"), DEEP)
def test_of_guards_that_stand_behind_each_other_each_alone_keeps_the_cell(
    surface: Surface, attack: Attack, way: Way, alone: Guard, tmp_path: Path
) -> None:
    with without(tuple(guard for guard in way if guard is not alone)):
        assert surface.run(attack, tmp_path) is surface.cells[attack].outcome


def beside(surface: Surface, way: Way) -> list[Attack]:
    """Attacks that these guards do not hold."""
    held = HELD[surface.name]
    return [attack for attack in held if not any(guard in way for one in held[attack] for guard in one)]


BESIDE = {(surface.name, way): (surface, way) for surface, _, way in CASES if beside(surface, way)}


@pytest.mark.parametrize(("surface", "way"), [pytest.param(*one, id=named(one[0], "another", one[1])) for one in BESIDE.values()])
def test_who_takes_a_guard_out_breaks_nothing_else(surface: Surface, way: Way, tmp_path: Path) -> None:
    """The reader still works: an attack on the same surface that other guards hold comes out as said."""
    with without(way):
        assert any(surface.run(attack, _folder(tmp_path, attack)) is surface.cells[attack].outcome for attack in beside(surface, way))


def _folder(home: Path, attack: Attack) -> Path:
    made = home / attack
    made.mkdir()
    return made


def test_every_cell_that_is_no_limit_is_held_or_says_why_nothing_can_be_taken_out() -> None:
    promised = {(one.name, attack) for one in SURFACES for attack, said in one.cells.items() if said.outcome is not LIMIT}
    shown = {(surface.name, attack) for surface, attack, _ in CASES}
    assert shown | STRUCTURAL.keys() == promised
    assert not shown & STRUCTURAL.keys()
    assert len(STRUCTURAL) <= 7, "a reason is worth less than a guard"


@pytest.mark.parametrize("topic", SIGNERS)
@pytest.mark.parametrize("part", [*PARTS, "mallory"])
def test_without_its_guard_each_process_would_be_believed_anywhere(part: str, topic: str) -> None:
    """The other side of the table of who is believed: a role that was not asked for, and a key that nobody enrolled."""
    if part in PARTS and believed(part, topic):
        return
    with without((ROLE,) if part in PARTS else (KEY,)):
        assert opener().open(topic, b"k", Speaker(part).says(topic, b"k", b"x")).body == b"x"


@pytest.mark.parametrize(
    ("read", "error", "guard"),
    [(read_tokens, TokenFileError, PRIVATE_TOKENS), (load_key, KeyFileError, PRIVATE_KEY)],
    ids=["tokens", "key"],
)
def test_a_file_that_others_may_read_is_refused(
    read: Callable[[Path], object], error: type[Exception], guard: Guard, tmp_path: Path
) -> None:
    """What makes files a matter of one account: with the check of the mode out it is read."""
    path = tmp_path / "file"
    path.write_bytes(PEM if read is load_key else b"")
    path.chmod(0o604)
    with pytest.raises(error, match="is open to other users"):
        read(path)
    with without((guard,)):
        read(path)
