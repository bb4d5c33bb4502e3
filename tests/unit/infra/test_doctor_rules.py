"""`doctor` looks at rules: of one's own, where one that is left out finds nothing, and those of the broker."""

from pathlib import Path

from kafka.errors import TopicAuthorizationFailedError
from tests.support.sigma import SHIPPED

from tallystick_infra.cli.doctor import _guarded
from tallystick_infra.cli.doctor_check import Check
from tallystick_infra.cli.doctor_here import rules
from tallystick_infra.deployment import Deployment


def test_a_rule_that_is_left_out_is_not_well(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data", {})
    assert rules(deployment) == [], "without rules there is nothing to say"
    folder = deployment.path / "rules"
    folder.mkdir()
    (folder / "one.yml").write_text((SHIPPED / "self_grant.yml").read_text())
    [well] = rules(deployment)
    assert (well.ok, well.seen) == (True, "1 rule of rules/")
    (folder / "two.yml").write_text("title: [")
    [broken] = rules(deployment)
    assert not broken.ok
    assert "1 left out" in broken.seen
    assert "two.yml" in broken.seen


def test_who_lacks_a_rule_at_the_broker_is_told_where_rules_come_from(tmp_path: Path) -> None:
    def behind(_: Deployment) -> list[Check]:
        raise TopicAuthorizationFailedError("{'events'}")

    [check] = _guarded(behind, Deployment.create(tmp_path / "data", {}), {})
    assert (check.name, check.ok) == ("notary", False)
    assert "topics acls" in check.mend
