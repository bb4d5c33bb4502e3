"""Every cell of the matrix, run; and the page that is made of it."""

from pathlib import Path

import pytest
from tests.support.signing import PARTS, Speaker, opener

from tallystick_schemas.errors import ParseError
from tallystick_schemas.roles import SIGNERS
from tallystick_schemas.topics import topic_table

from .cells import Attack, Said, Surface
from .matrix import SURFACES
from .page import PATH, believed, build

CELLS = [pytest.param(one, attack, said, id=f"{one.name}-{attack}") for one in SURFACES for attack, said in one.cells.items()]


@pytest.mark.parametrize(("surface", "attack", "said"), CELLS)
def test_a_cell_says_what_happens(surface: Surface, attack: Attack, said: Said, tmp_path: Path) -> None:
    assert surface.run(attack, tmp_path) is said.outcome


@pytest.mark.parametrize("topic", SIGNERS)
@pytest.mark.parametrize("part", [*PARTS, "mallory"])
def test_each_process_is_believed_where_the_table_says(part: str, topic: str) -> None:
    value = Speaker(part).says(topic, b"k", b"x")
    if part in PARTS and believed(part, topic):
        assert opener().open(topic, b"k", value).body == b"x"
        return
    with pytest.raises(ParseError, match=rf"may say nothing on {topic}|no operator gave a role"):
        opener().open(topic, b"k", value)


def test_every_topic_is_in_the_matrix_and_cells_are_many() -> None:
    assert {one.name for one in SURFACES if one.kind == "topic"} == {spec.name for spec in topic_table(4)}
    assert len(CELLS) >= 100


def test_the_page_is_what_the_matrix_says() -> None:
    assert PATH.read_text(encoding="utf-8") == build(), "write it with `python -m tests.unit.control_plane.page`"
