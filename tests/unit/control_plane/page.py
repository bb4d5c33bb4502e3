"""Writes `docs/control-plane.md` from the matrix: `python -m tests.unit.control_plane.page`."""

from collections.abc import Iterator
from typing import Final

from tests.support.pages import ROOT
from tests.support.signing import PARTS

from tallystick_schemas.access import access_table
from tallystick_schemas.roles import SIGNERS

from .cells import ATTACKS, Attack, Outcome, Surface
from .held import HELD, STRUCTURAL
from .matrix import SURFACES, who

PATH: Final = ROOT / "docs" / "control-plane.md"
_HEAD: Final = """# Who can make whom believe what

What each part does with what it reads when somebody tampered with it. The tests make this page, and run each cell: real readers on real signatures, in
memory ([tests/unit/control_plane](../tests/unit/control_plane)). Change it with `python -m tests.unit.control_plane.page`.

- **refused**: nothing changes by it.
- **told**: it is seen, and said.
- **closed**: doors that cannot know deny.
- **limit**: it works, and the cell says what is lost. The test sees that it works; when somebody mends it, this page must change.

**held by** names the guards of a cell, and each is a check in the real code. A second test takes every one of them out and sees another outcome; where one
stands behind another, it takes all of them out, and sees that each alone keeps the cell
([held.py](../tests/unit/control_plane/held.py)). In a few cells there is nothing to take out, and they say why.

"""
_WHO: Final = """
## Who can try

- **A stranger on the machine, and every other user of it**, has no password for Kafka or the store, and files have mode 0600: they can try none of this.
  Tests at a running broker and a running store show that.
- **Who has a password and no key with a role** can write what its row in the [table of access](../schemas/tallystick_schemas/access.py) allows, and is
  believed nowhere in the table below.
- **Who has a part's key** is believed where that part is. Embedded parts share one account of the system and can read each other's keys and passwords:
  to take one of them is to take all.
- **The broker, the store** hold what is written, and no key.

`yes`: its signature counts, and the broker lets it write. `no`: it may write there, and nobody believes it. Empty: neither.

"""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def believed(part: str, topic: str) -> bool:
    """Whether the signature of a part counts on a topic."""
    return not set(PARTS[part]).isdisjoint(SIGNERS[topic])


def held_by(surface: Surface, attack: Attack) -> str:
    """The guards of a cell; ways to lose it stand behind semicolons."""
    if (reason := STRUCTURAL.get((surface.name, attack))) is not None:
        return f"nothing to take out: {reason}"
    return "; ".join(", behind it ".join(guard.name for guard in way) for way in HELD[surface.name].get(attack, ()))


def _signers() -> Iterator[str]:
    writes = {row.role: row.writes for row in access_table()}
    yield _row("process", *SIGNERS)
    yield _row(*["---"] * (1 + len(SIGNERS)))
    for part in PARTS:
        words = [("yes" if believed(part, topic) else "no") if topic in writes.get(part, ()) else "" for topic in SIGNERS]
        yield _row(part, *words)


def build() -> str:
    """The page."""
    cells = [said for surface in SURFACES for said in surface.cells.values()]
    counts = ", ".join(f"{sum(said.outcome is one for said in cells)} {one.value}" for one in Outcome)
    parts = [_HEAD, f"{len(cells)} cells: {counts}. In {len(STRUCTURAL)} there is nothing to take out.\n", _WHO, *_signers()]
    for kind, title in (("topic", "Topics"), ("table", "Tables of the store"), ("file", "Files")):
        parts.append(f"\n## {title}\n")
        for surface in SURFACES:
            if surface.kind != kind:
                continue
            parts += [
                f"\n### {surface.name}\n\n",
                _row("attack", "who can", "then", "where and how soon, or what is lost", "held by"),
                _row(*["---"] * 5),
            ]
            parts += [
                _row(
                    attack,
                    who(surface, attack),
                    f"**{said.outcome.value}**" if said.outcome is Outcome.LIMIT else said.outcome.value,
                    said.where,
                    held_by(surface, attack),
                )
                for attack in ATTACKS
                if (said := surface.cells.get(attack)) is not None
            ]
    return "".join([*parts, _LIMITS])


_LIMITS: Final = """
## Beyond the cells

- Entries since the last seal and their facts are rows without a signature of ours: the store can write them anew
  together. Records, signed by agents, and snapshots, signed by the notary, it cannot.
- A detectors' key can find whom it likes; to have him locked it needs an event that an agent with the right scope signed. A responder's key can lock and lift.
- A broker that delays all by less than `lock_stale_s` delays each lock by that.
"""


def main() -> None:
    """Write the page."""
    PATH.write_text(build(), encoding="utf-8")


if __name__ == "__main__":
    main()
