"""Step 10: a history that the sealer's key signed a second time does not pass while agents know the first; an agent alone fails nothing."""

import msgspec
import pytest
from tests.support.history import History, private_key
from tests.support.history_source import MemorySource
from tests.support.rotating import KEY, by, rotating, said
from tests.support.seeing import ATTACKS, World, rewrite_a_shard, seeing

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.source import StoredLeaf
from tallystick_infra.cli.audit_view import show_report
from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.headers import Seen
from tallystick_schemas.notes import Verifier, signature_by
from tallystick_schemas.vouching import vouch


def judged(world: World) -> Report:
    history = world.builder.history
    return verify_source(MemorySource(history), history.log, history.now)


def test_what_agents_were_shown_lies_on_a_true_history() -> None:
    report = judged(seeing())
    assert (report.failures, report.exit_code) == ((), 0)
    assert (report.seen.fit, report.seen.unfit) == (2, ())


@pytest.mark.parametrize("name", ATTACKS)
def test_the_sealers_key_does_not_make_another_history_true(name: str) -> None:
    report = judged(seeing().after(name))
    found = [one for one in report.failures if one.step == 10]
    assert (report.integrity, report.exit_code) == ("fail", 1)
    assert found
    assert all("gw-" in one.reason and "was shown another history" in one.reason and one.shard is not None for one in found)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_else_would_tell(name: str) -> None:
    """The same, where no agent says what it was shown: every other step passes integrity."""
    assert judged(seeing(says=False).after(name)).integrity == "pass"


def test_the_failure_names_agent_place_size_and_both_roots() -> None:
    world = seeing()
    seen = world.seen
    assert seen is not None
    world.attacked(rewrite_a_shard)
    step = world.segment(world.agents[1], seen)
    world.builder.seal()
    today = [row[2].hex() for row in world.builder.history.checkpoints if row[:2] == ("test/root", seen.size)]
    [failure] = [one for one in judged(world).failures if one.step == 10 and f" {seen.size} leaves" in one.reason]
    assert (failure.shard, failure.index) == (1, step.index)
    assert all(word in failure.reason for word in ("gw-1", seen.root, *today))


def test_a_restarted_agent_that_was_shown_less_fails_nothing() -> None:
    world = seeing(1)
    early = world.seen
    world.round()
    world.segment(world.agents[0], early)
    world.segment(world.agents[0], Seen(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    world.round()
    assert (judged(world).failures, judged(world).seen.unfit) == ((), ())


def lies() -> dict[str, Seen]:
    """What an agent can say without the sealer's key."""
    origin, thief = "test/root", private_key("thief")
    forged = sign_checkpoint(Checkpoint(origin, 3, b"\1" * 32), thief)
    signature = signature_by(forged, [Verifier(origin, thief.public_key().public_bytes_raw())])
    return {
        "unsigned": Seen(3, "01" * 32),
        "longer": Seen(2**62, "01" * 32),
        "signed by another key": Seen(3, "01" * 32, msgspec.Raw(msgspec.json.encode(signature))),
        "no signature": Seen(3, "01" * 32, msgspec.Raw(b'{"a":[1,2]}')),
    }


@pytest.mark.parametrize("name", lies())
def test_an_agents_word_alone_is_told_and_fails_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, lie = seeing(1), lies()[name]
    step = world.segment(world.agents[1], lie)
    world.segment(world.agents[1], lie)
    world.segment(world.agents[1], Seen(1, "02" * 32))
    world.round()
    report = judged(world)
    assert (report.failures, report.exit_code) == ((), 0)
    [one] = report.seen.unfit
    assert (one.agent, one.shard, one.count) == ("gw-1", 1, 2)
    assert {"agent", "shard", "index", "size", "root", "today", "count"} == report.to_json()["seen"]["unfit"][0].keys()
    assert step.index in (one.index, one.index - 2)
    show_report(report)
    assert "gw-1 says without a signature" in " ".join(capsys.readouterr().out.split())


def test_a_signature_that_belongs_to_another_checkpoint_proves_nothing() -> None:
    world = seeing(2)
    assert world.seen is not None
    world.segment(world.agents[0], Seen(world.seen.size, "01" * 32, world.seen.sig))
    world.round()
    report = judged(world)
    assert (report.integrity, [one.agent for one in report.seen.unfit]) == ("pass", ["gw-0"])


class Growing(MemorySource):
    """A living store: leaves and entries came between the first reading and the last."""

    def __init__(self, history: History, first: int) -> None:
        super().__init__(history)
        self._left = [first]

    def root_leaves(self) -> list[StoredLeaf]:
        leaves = super().root_leaves()
        return leaves[: self._left.pop()] if self._left else leaves

    def checkpoints(self) -> list:  # type: ignore[type-arg]
        rows = super().checkpoints()
        notes = {leaf.data for leaf in super().root_leaves()[:3]}
        return [row for row in rows if row.note in notes or (row.origin == "test/root" and row.size <= 3)]


def test_what_agents_were_shown_while_it_ran_is_looked_up_again() -> None:
    history = seeing(3).builder.history
    report = verify_source(Growing(history, 3), history.log, history.now)
    assert (report.integrity, report.root_size, report.failures) == ("pass", 3, ())
    assert report.seen.fit == 2


def test_what_a_thief_shows_with_a_retired_key_is_an_agents_word_alone() -> None:
    """Else whoever has the stolen key and one agent could fail this history for ever."""
    builder = rotating(2)
    agent = builder.enrol("gw-1", 1)
    world = World(builder, [agent])
    world.round()
    forged = sign_checkpoint(Checkpoint("test/root", 3, b"\1" * 32), private_key("sealer"))
    lie = vouch(forged, builder.history.log)
    by(builder, sealer="sealer-2")
    for shard in range(2):
        builder.record(shard, said("operator", "retire", KEY["sealer"]))
    world.segment(agent, lie)
    world.round()
    report = judged(world)
    assert (report.failures, [one.agent for one in report.seen.unfit]) == ((), ["gw-1"])


def test_what_the_key_signed_before_its_end_is_still_evidence() -> None:
    builder = rotating(2)
    agent = builder.enrol("gw-1", 1)
    world = World(builder, [agent])
    forged = sign_checkpoint(Checkpoint("test/root", 3, b"\1" * 32), private_key("sealer"))
    world.segment(agent, vouch(forged, builder.history.log))
    by(builder, sealer="sealer-2")
    for shard in range(2):
        builder.record(shard, said("operator", "retire", KEY["sealer"]))
    world.round()
    assert [one.step for one in judged(world).failures] == [10]


def test_a_retirement_in_one_shard_hides_no_evidence_of_another() -> None:
    """Who stole the sealer's key repeats what an honest agent was shown, behind the key's end, in a shard that is looked at first."""
    builder = rotating(2)
    thief, honest = builder.enrol("gw-0", 0), builder.enrol("gw-1", 1)
    world = World(builder, [thief, honest])
    forged = vouch(sign_checkpoint(Checkpoint("test/root", 3, b"\1" * 32), private_key("sealer")), builder.history.log)
    world.segment(honest, forged)
    by(builder, sealer="sealer-2")
    for shard in range(2):
        builder.record(shard, said("operator", "retire", KEY["sealer"]))
    world.segment(thief, forged)
    world.round()
    [failure] = judged(world).failures
    assert (failure.step, failure.shard, "gw-1 was shown" in failure.reason) == (10, 1, True)
