"""The operator's page gives the auditor what the verifier reads, in SQL that ClickHouse reads."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick_audit.verify import clickhouse
from tallystick_infra.clickhouse.grants import GRANTS, VIEWS, user_of

ROOT = Path(__file__).parents[3]
[SQL] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "operator.md").read_text(), re.S)
STATEMENTS = [part.strip() for part in SQL.split(";\n") if part.strip()]


def test_what_is_granted_is_what_the_verifier_reads() -> None:
    source = Path(clickhouse.__file__).read_text()
    read = (set(re.findall(r"FROM ([a-z_]+)", source)) | set(clickhouse._TABLES)) - {"system"}
    assert set(re.findall(r"GRANT SELECT ON tallystick\.(\w+) TO auditor", SQL)) == read
    looks = ["GRANT SHOW TABLES, SHOW COLUMNS ON tallystick.* TO auditor", "GRANT SHOW ROW POLICIES ON *.* TO auditor"]
    assert [one.rstrip(";") for one in STATEMENTS[-2:]] == looks
    assert len(STATEMENTS) == 1 + len(read) + len(looks)


@pytest.mark.embedded
def test_clickhouse_reads_the_statements() -> None:
    # In a process of its own: the engine holds one for good.
    ask = "import sys, chdb; sys.stdout.write(''.join(str(chdb.query('EXPLAIN AST ' + one)) for one in sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", ask, *STATEMENTS], capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^\"(\w+Query)", done.stdout, re.M) == ["CreateUserQuery", *["GrantQuery"] * (len(STATEMENTS) - 1)]


def test_the_page_has_the_table_of_the_embedded_stores_users() -> None:
    section = (ROOT / "docs" / "operator.md").read_text().partition("## Users of the embedded store")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    assert rows[0] == ["`tallystick`", *["everything"] * 3]
    told = {user.strip("`"): [tuple(re.findall(r"`(\w+)`", cell)) for cell in cells] for user, *cells in rows[1:]}
    assert told == {user_of(role): [grant.reads, grant.inserts, grant.prunes] for role, grant in GRANTS.items()}
    assert set(re.findall(r"GRANT SELECT ON tallystick\.(\w+) TO auditor", SQL)) == set(GRANTS["auditor"].reads) - set(VIEWS)
