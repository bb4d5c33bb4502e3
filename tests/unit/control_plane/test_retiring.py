"""A retirement reaches topic `locks`, every shard and every door, and whoever holds the retired key does nothing more."""

from pathlib import Path

import pytest
from tests.support.history import private_key, public_bytes
from tests.support.rotating import KEY, PUBLIC, said

from tallystick_infra.control import Control, merged
from tallystick_infra.enrolment import Directives, RulesSaid
from tallystick_infra.operator import Operator
from tallystick_schemas.directives import LEVEL
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.envelope import Opener
from tallystick_schemas.keys import key_id
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import RETIRE_KEY, ROLE_KEY
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import LogSettings
from tallystick_stream_jobs.errors import SealerKeyRetired
from tallystick_stream_jobs.responder.mirror import Seen
from tallystick_stream_jobs.sealer.job import Keyring as SealerKey
from tallystick_stream_jobs.sealer.job import Sealer, may_sign

LOG = LogSettings("test", 2, (PUBLIC["operator"], PUBLIC["operator-2"]), (PUBLIC["sealer"], PUBLIC["sealer-2"]))
AGENT = private_key("gw")
SUBJECT = f"gw {key_id(public_bytes(AGENT))}"
ROLE = ROLE_KEY + f"gw/{key_id(public_bytes(AGENT))}".encode()
RETIRED = said("operator-2", "retire", KEY["operator"])


def role(signer: str, n: int) -> bytes:
    return said(signer, "agent", SUBJECT, {"public_key": to_base64(public_bytes(AGENT)), "roles": ["recorder"]}, n)


def ring(*records: bytes) -> Keyring:
    made = Keyring.of(LOG.operator_keys)
    for record in records:
        made.take(record)
    return made


def ledger(keyring: Keyring, *retired: tuple[int, str]) -> Directives:
    rules = {shard: RulesSaid(0, LEVEL) for shard in range(LOG.shards)}
    return Directives(keyring, rules, retired=set(retired))


def test_a_start_carries_a_retirement_to_wherever_it_is_missing() -> None:
    control = Control(LOG, Operator(private_key("operator-2")), lambda: 0.0)
    known = ring(role("operator-2", 1), RETIRED)
    everywhere = ((0, KEY["operator"]), (1, KEY["operator"]))
    plan = control.plan(ring(role("operator", 0)), ledger(known, everywhere[0]), {})
    assert [(place, one.raw) for place, one in plan.retired] == [(None, RETIRED), (1, RETIRED)]
    assert [holder.raw for holder in plan.topic] == [role("operator-2", 1)]
    assert control.plan(known, ledger(known, *everywhere), {}).records == 0


def test_what_places_know_together_has_the_retirement() -> None:
    both = merged(LOG, ring(role("operator", 5)), ring(RETIRED))
    assert (len(both), both.retired(KEY["operator"])) == (0, True)


def test_a_door_that_lacks_the_retirement_has_not_the_responders_roles() -> None:
    here, there = (LockTopic(Opener("test", Keyring.of(LOG.operator_keys))) for _ in range(2))
    for one in (here, there):
        one.take(ROLE, role("operator", 0))
        one.take(ROLE, role("operator-2", 1))
    before = here.heartbeat("2026-11-23T04:00:00.000000Z")
    here.take(RETIRE_KEY + KEY["operator"].encode(), RETIRED)
    assert here.agrees(before), "who writes the topic reads it a moment later"
    assert not there.agrees(here.heartbeat("2026-11-23T04:00:00.000000Z")), "it cannot know whom to believe, and denies"


def test_the_responder_writes_a_lost_retirement_again() -> None:
    seen = Seen(Opener("test", ring()))
    seen.take(ROLE, role("operator-2", 1))
    assert seen.lacking_roles(ring(role("operator-2", 1), RETIRED)) == [(RETIRE_KEY + KEY["operator"].encode(), RETIRED)]
    seen.take(RETIRE_KEY + KEY["operator"].encode(), RETIRED)
    assert seen.lacking_roles(ring(role("operator-2", 1), RETIRED)) == []


class NoFile:
    """A sealer's first start."""

    kept = Path("notes.jsonl")

    def load(self) -> None:
        return None


def test_a_sealer_with_a_retired_key_ends_before_it_signs() -> None:
    for name, ends in (("sealer", True), ("sealer-2", False)):
        sealer = Sealer(LOG, SealerKey(private_key(name)), NoFile(), None)  # type: ignore[arg-type]  # nothing is read or kept here
        assert may_sign(sealer, ring())
        roles = ring(said("operator", "retire", KEY["sealer"]))
        if ends:
            with pytest.raises(SealerKeyRetired, match=KEY["sealer"]):
                may_sign(sealer, roles)
        else:
            assert may_sign(sealer, roles)
