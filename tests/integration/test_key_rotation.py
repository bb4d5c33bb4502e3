"""docs/operator.md, "A key was stolen": each step on a running deployment, with agents at work, for the sealer's and the operator's key at once."""

import time
from pathlib import Path

import pytest
from tests.support.deployment import check_history, cli, doctor, record, running, wait_confirmed
from tests.support.history import private_key

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import read_key
from tallystick_infra.errors import OrderRefused
from tallystick_infra.operator import Operator, record_sender
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Recorder
from tallystick_schemas.headers import Seal
from tallystick_schemas.keys import key_id
from tallystick_schemas.signing import sign_record, wire_time

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
PARTS = ["notary", "responder", "sealer"]


def test_both_keys_are_stolen_and_replaced_while_agents_record(tmp_path: Path) -> None:
    old = {}
    with running(tmp_path / "data", PARTS, ["one"]) as supervisor, Recorder.open(supervisor.deployment.agent("one")) as recorder:
        record(recorder, 50, "before")
        wait_confirmed(supervisor, recorder)
        check_history(supervisor)
        # 1. The next keys, and everybody pins them behind the old ones.
        publics = {whose: cli(supervisor, "keys", "next", whose)["public_key"] for whose in ("operator", "sealer")}
    path = tmp_path / "data"
    settings = (path / "tallystick.toml").read_text()
    for whose, public in publics.items():
        before = read_key(path / "keys" / f"{whose}.key")
        old[whose], mine = before, before.public_key().public_bytes_raw().hex()
        assert f'"{mine}",\n' in settings
        settings = settings.replace(f'"{mine}",\n', f'"{mine}",\n    "{public}",\n')
        # 2. They take the old ones' place.
        (path / "keys" / f"{whose}.key").rename(path / "keys" / f"{whose}.old.key")
        (path / "keys" / f"{whose}.next.key").rename(path / "keys" / f"{whose}.key")
    (path / "tallystick.toml").write_text(settings)
    ids = {whose: key_id(key.public_key().public_bytes_raw()) for whose, key in old.items()}
    # 3. Every process starts again; 4. the old keys end.
    with Supervisor(Deployment.open(path), PARTS) as supervisor, Recorder.open(supervisor.deployment.agent("one")) as recorder:
        record(recorder, 50, "between")
        told = [cli(supervisor, "keys", "retire", ids[whose], "--reason", "stolen", "--yes") for whose in ("sealer", "operator")]
        assert [len(one["places"]) for one in told] == [supervisor.deployment.log().shards] * 2
        assert (told[0]["said_again"], {"notary", "responder", "one"} <= {one["agent"] for one in told[1]["said_again"]}) == ([], True)
        assert told[0]["last_root"] >= 5
        assert told[1]["last_root"] is None
        listed = {one["key"]: one["retired"] for one in cli(supervisor, "keys", "list")["keys"]}
        assert [listed.pop(key) for key in ids.values()] == [True, True]
        assert list(listed.values()) == [False, False]
        record(recorder, 50, "after")
        wait_confirmed(supervisor, recorder)
        _the_thief_gets_nowhere(supervisor, Operator(old["operator"]), old["sealer"])
        cli(supervisor, "agent", "enrol", "two")
        with Recorder.open(supervisor.deployment.agent("two")) as other:
            record(other, 5, "new")
            wait_confirmed(supervisor, other)
        check_history(supervisor)
        checks = doctor(supervisor)
        assert (checks["roles"]["ok"], checks["shown roots"]["ok"]) == (True, True), (checks["roles"], checks["shown roots"])


def _the_thief_gets_nowhere(supervisor: Supervisor, operator: Operator, sealer) -> None:
    deployment, now = supervisor.deployment, time.time()
    with record_sender(deployment.kafka_admin(), deployment.log()) as sender:
        for stolen in (
            operator.enrol("mallory", private_key("mallory").public_key().public_bytes_raw(), "thief", now),
            operator.directive("weather", "", {}, 2**62, now),
        ):
            sender.send("mallory", stolen)
            with pytest.raises(OrderRefused, match="revoked-key"):
                sender.wait([stolen], 60)
        # The highest epoch that there is: nobody could seal this shard again.
        sender.send_to(0, sign_record(Seal(1, key_id(sealer.public_key().public_bytes_raw()), wire_time(now), 2**63 - 1), sealer))
