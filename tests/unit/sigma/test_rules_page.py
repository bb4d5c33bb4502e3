"""docs/rules.md says what the code does: the table of fields, the shipped rule, the modifiers."""

import re
from pathlib import Path

from tests.support.pages import ROOT
from tests.support.sigma import SHIPPED

from tallystick_stream_jobs.sigma.conditions import MODIFIERS
from tallystick_stream_jobs.sigma.fields import FIELDS
from tallystick_stream_jobs.sigma.load import load_files

PAGE = (Path(ROOT) / "docs" / "rules.md").read_text()


def test_the_table_of_fields_is_the_code_s() -> None:
    rows = re.findall(r"^\| `([a-z._]+)` \| (.*) \| (text|number|flag|list) \|$", PAGE, re.M)
    assert rows == [(one.name, ", ".join(f"`{name}`" for name in one.aliases), one.kind) for one in FIELDS]


def test_every_modifier_is_named() -> None:
    assert {name for name in MODIFIERS if f"`{name}`" not in PAGE} == set()


def test_the_page_s_rule_can_be_used(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "rule.yml").write_text(text)
    rules, errors = load_files([tmp_path / "rule.yml"])
    assert not errors
    assert rules[0].meta.title in PAGE
    assert rules[0].definition.window == load_files([SHIPPED / "bulk_from_abroad.yml"])[0][0].definition.window
