"""The tables within a page of prose: what stands between two marks is made anew, everything else is left as it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..errors import EvaluationRefused
from .tables import Table, markdown

BEGIN: Final = "<!-- figures: made by `tallystick evaluate` -->"
END: Final = "<!-- end of figures -->"


def write_page(path: Path, tables: Sequence[Table]) -> None:
    """Put the tables into the page, or make one of them alone. EvaluationRefused when the page has no place for them, or cannot be written."""
    made = "\n".join(markdown(table) for table in tables)
    try:
        text = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
        before, begun, rest = text.partition(BEGIN)
        _, ended, after = rest.partition(END)
        if not begun or not ended:
            raise EvaluationRefused(path, f"it has no lines {BEGIN} and {END} for the tables to stand between")
        path.write_text(f"{before}{BEGIN}\n\n{made}\n{END}{after}")
    except (OSError, UnicodeError) as error:
        raise EvaluationRefused(path, f"the page cannot be written: {error}") from error
