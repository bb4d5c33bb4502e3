"""What the supervisor reads of directives: the level in force is that of the one about rules with the empty subject, as in the fold."""

from types import SimpleNamespace
from typing import Any, cast

from clickhouse_connect.driver.client import Client
from tests.support.rotating import rotating

from tallystick_infra.enrolment import RulesSaid, read_directives
from tallystick_schemas.directives import level_in_force
from tallystick_schemas.entries import parse_entry


def test_rules_about_a_subject_of_their_own_put_no_level_in_force() -> None:
    builder = rotating(level=2)
    builder.directive(0, "rules", "of the house", {"level": 3}, 9)
    rows: list[Any] = [(shard, index, entry.hex()) for shard, index, entry, *_ in builder.history.entries if parse_entry(entry).kind == 7]
    assert len(rows) == 2
    client = cast(Client, SimpleNamespace(query=lambda _: SimpleNamespace(result_rows=rows)))
    assert read_directives(client, builder.history.log).rules == {0: RulesSaid(0, 2)}
    assert level_in_force(builder.folds[0].state) == 2
