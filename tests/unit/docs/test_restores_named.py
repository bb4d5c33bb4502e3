"""docs/operator.md, "Restores": each line names the test that goes that way, and each of those tests is named."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "operator.md").read_text().partition("\n## Restores\n")[2].partition("\n## ")[0]
TESTS = re.findall(r"^def (test_\w+)", (ROOT / "tests" / "integration" / "test_restores.py").read_text(), re.M)


def test_each_line_has_its_test_and_each_test_its_line() -> None:
    rows = [line.split("|")[1:-1] for line in SECTION.splitlines() if line.startswith("| ")][1:]
    named = [cells[-1].strip(" `") for cells in rows]
    assert len(named) >= 8
    assert sorted(named) == sorted(TESTS)
