"""Makes the test vectors: `python -m tests.vectors.make`. The same bytes on every machine; `tests/unit/schemas/test_vectors.py` compares."""

from collections.abc import Callable
from pathlib import Path

from . import events, history, history2, history3, history4, messages, notes, trees
from .common import Json, to_bytes

FOLDER = Path(__file__).parent
FILES: dict[str, Callable[[], Json]] = {
    "events.json": events.build,
    "history-1.json": history.build,
    "history-2.json": history2.build,
    "history-3.json": history3.build,
    "history-4.json": history4.build,
    "messages.json": messages.build,
    "notes.json": notes.build,
    "trees.json": trees.build,
}


def main() -> None:
    """Write every file."""
    for name, build in FILES.items():
        (FOLDER / name).write_bytes(to_bytes(build()))


if __name__ == "__main__":
    main()
