"""`tallystick agent enrol` of an agent that is known: nothing that it may is lost unless somebody says so, and a revoked key gets a successor."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.signing import OPERATORS, directive, public_of

from tallystick_infra import admission
from tallystick_infra.cli import agent_enrol, agent_roles, cli
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import make_key
from tallystick_infra.enrolment import EnrolledAgent
from tallystick_infra.errors import ManyMandates, NarrowerMandate, NoSuchKey
from tallystick_infra.kafka.users import User
from tallystick_infra.mandates import kept_from, mandate_for, must_not_narrow
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.keys import key_id
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.roles import Holder, Keyring, Mandate, Role, Scope

NAME = "door"
SCOPE = Scope(["access.*"], ["*@a.org"])
RECEIPT = Receipt("operator", "0" * 32, 0, 0, 1, 7, "", "")


def holder(public: bytes, roles: tuple[Role, ...] = ("point", "recorder"), scope: Scope | None = SCOPE, *, active: bool = True) -> Holder:
    return Holder(NAME, key_id(public), public, frozenset(roles), active, scope, 0, b"")


class Enrolling:
    """A deployment whose Kafka and history are this object: what is known of keys, what was enrolled, whose users were made."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deployment = Deployment.create(path, {})
        self.place = self.deployment.agent_key(NAME)
        self.known, self.ledger = Keyring.of(OPERATORS), list[EnrolledAgent]()
        self.said: list[Mandate] = []
        self.users: dict[str, User] = {}
        monkeypatch.setattr("tallystick_infra.knocking.ask", lambda *_: None)
        monkeypatch.setattr(agent_enrol, "known_roles", lambda _: self.known)
        monkeypatch.setattr(agent_roles, "known_roles", lambda _: self.known)
        monkeypatch.setattr(agent_enrol, "agents_of", lambda _: self.ledger)
        monkeypatch.setattr(agent_enrol, "enrol_agents", self._enrol)
        monkeypatch.setattr(admission, "Users", lambda _: self)

    def _enrol(self, _: Deployment, mandates: dict[str, Mandate], *__: object) -> list[Receipt]:
        self.said += mandates.values()
        return [RECEIPT]

    def __enter__(self) -> "Enrolling":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def add(self, users: dict[str, User]) -> None:
        self.users |= users

    def knows(self, *holders: Holder) -> None:
        self.known._holders = {(one.agent, one.key): one for one in holders}

    def run(self, *more: str) -> Any:
        return CliRunner().invoke(cli, ["agent", "enrol", NAME, "--data", str(self.deployment.path), *more])

    def json(self, *more: str) -> dict[str, Any]:
        done = self.run(*more, "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        told: dict[str, Any] = json.loads(done.output.splitlines()[-1])
        return told


@pytest.fixture
def enrolling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Enrolling:
    return Enrolling(tmp_path / "d", monkeypatch)


def test_a_known_agent_keeps_its_roles_and_its_scope(enrolling: Enrolling) -> None:
    enrolling.knows(holder(make_key(enrolling.place)))
    told = enrolling.json()
    assert (told["roles"], told["scope"], told["kept"]) == (
        ["point", "recorder"],
        {"actions": ["access.*"], "principals": ["*@a.org"]},
        True,
    )
    assert enrolling.said == [Mandate(to_base64(make_key(enrolling.place)), ["point", "recorder"], "active", SCOPE)]
    assert "It keeps what it had." in enrolling.run().output


def test_what_no_option_is_given_for_stays(enrolling: Enrolling) -> None:
    enrolling.knows(holder(make_key(enrolling.place)))
    told = enrolling.json("--may-action", "*")
    assert (told["roles"], told["scope"], told["kept"]) == (["point", "recorder"], {"actions": ["*"]}, False)
    assert enrolling.json("--role", "point")["scope"] == {"actions": ["access.*"], "principals": ["*@a.org"]}


def test_what_options_take_away_is_named_and_taken_with_replace_alone(enrolling: Enrolling) -> None:
    enrolling.knows(holder(make_key(enrolling.place)))
    refused = enrolling.run("--role", "recorder", "--may-action", "model.*")
    assert isinstance(refused.exception, NarrowerMandate)
    assert "take away from door: the role point, the actions access.*. Nothing was enrolled; --replace" in str(refused.exception)
    assert (enrolling.said, enrolling.users) == ([], {})
    assert enrolling.json("--role", "recorder", "--may-action", "model.*", "--replace")["roles"] == ["recorder"]


def test_a_role_that_was_given_without_a_scope_gets_none_by_being_enrolled_again(enrolling: Enrolling) -> None:
    """Of a new agent the role's own scope would be taken."""
    enrolling.knows(holder(make_key(enrolling.place), ("commander",), None))
    assert enrolling.json()["scope"] is None


def test_a_new_agent_is_a_recorder_and_its_settings_elsewhere_are_told(enrolling: Enrolling) -> None:
    told, log = enrolling.json(), enrolling.deployment.log()
    assert (told["roles"], told["scope"], told["kept"], told["old_key_file"]) == (["recorder"], None, False, None)
    assert told["log"] == {
        "deployment": log.deployment,
        "shards": log.shards,
        "operator_keys": [log.operator_keys[0].hex()],
        "sealer_keys": [log.sealer_keys[0].hex()],
    }
    assert f'operator_keys = ["{log.operator_keys[0].hex()}"]' in enrolling.run().output


@pytest.mark.parametrize("where", ["its role", "the history alone"])
def test_after_a_revocation_a_new_key_takes_the_place_and_the_old_one_is_kept(enrolling: Enrolling, where: str) -> None:
    old = make_key(enrolling.place)
    content = enrolling.place.read_bytes()
    enrolling.knows(holder(old, active=where != "its role"))
    if where != "its role":
        enrolling.ledger.append(EnrolledAgent(NAME, key_id(old), 0, True, 0, None))
    told = enrolling.json()
    assert told["key"] != key_id(old)
    assert (told["roles"], told["key_file"]) == (["point", "recorder"], str(enrolling.place))
    kept = enrolling.place.with_name(f"door.{key_id(old)}.key")
    assert (told["old_key_file"], kept.read_bytes(), kept.stat().st_mode & 0o777) == (str(kept), content, 0o600)
    assert enrolling.said[0].public_key == to_base64(make_key(enrolling.place))


def test_an_agent_whose_key_is_elsewhere_keeps_that_key(enrolling: Enrolling) -> None:
    """To enrol it again, for a password or a scope, must not make a second key that nobody uses."""
    there = public_of("elsewhere")
    enrolling.knows(holder(there))
    enrolling.ledger.append(EnrolledAgent(NAME, key_id(there), 0, False, 0, None, to_base64(there)))
    told = enrolling.json("--new-password")
    assert (told["key"], told["key_file"], told["kept"]) == (key_id(there), None, True)
    assert not enrolling.place.exists()
    assert f"Its private key {key_id(there)} is elsewhere; if it is lost, `tallystick agent rotate door`" in enrolling.run().output
    gone = make_key(enrolling.place)
    enrolling.knows(holder(there), holder(gone, active=False))
    assert (enrolling.json()["key"], make_key(enrolling.place)) == (key_id(there), gone), "a file that was left behind is no reason"
    other = public_of("other")
    enrolling.ledger.append(EnrolledAgent(NAME, key_id(other), 0, False, 0, None, to_base64(other)))
    assert "has 2 active keys elsewhere" in str(enrolling.run().exception)


def test_without_a_key_that_counts_rotate_and_scope_name_the_way_that_works() -> None:
    ring = Keyring.of(OPERATORS)
    ring.take(directive(NAME, ("point",), revoked=True, n=1))
    with pytest.raises(NoSuchKey, match="`tallystick agent enrol door` gives one, with a new key"):
        agent_roles._rotated(ring, NAME, None)
    with pytest.raises(NoSuchKey, match="`tallystick agent enrol door` makes one"):
        agent_roles._active_key([EnrolledAgent(NAME, "0" * 16, 0, True, 0, None)], NAME, None)


def test_a_password_is_made_anew_when_asked_for_and_never_else(enrolling: Enrolling) -> None:
    path = Path(enrolling.json()["kafka_password_file"])
    first = path.read_text()
    enrolling.json()
    assert path.read_text() == first
    enrolling.json("--new-password")
    assert path.read_text() != first
    assert enrolling.users["agent/door"].password == path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_password_is_promised_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Enrolling(tmp_path / "e", monkeypatch)
    part = CliRunner().invoke(cli, ["agent", "enrol", "gateway", "--new-password", "--data", str(other.deployment.path)])
    assert (part.exit_code, "gateway is a part of ours" in part.output) == (2, True), part.output
    assert other.said == []


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        (Scope(), None),
        (SCOPE, None),
        (Scope(["*"]), None),
        (Scope(["acc*", "b"], ["*@a.org", "*@b.org"]), None),
        (Scope(["access.?"]), "the actions access.*"),
        (Scope(["[a]*"]), "the actions access.*"),
        (Scope(["access.*"], ["*@b.org"]), r"the principals \*@a\.org"),
        (Scope(None, ["*"], ["model/*"]), "all resources but model/"),
        (None, "its whole scope"),
    ],
)
def test_a_scope_that_is_no_narrower_takes_nothing(scope: Scope | None, taken: str | None) -> None:
    mandate = Mandate(to_base64(public_of(NAME)), ["point"], "active", scope)
    if taken is None:
        must_not_narrow([holder(public_of(NAME))], NAME, mandate)
        return
    with pytest.raises(NarrowerMandate, match=taken):
        must_not_narrow([holder(public_of(NAME))], NAME, mandate)


def test_a_further_key_goes_on_with_what_the_active_ones_agree_on() -> None:
    one, two, gone = (holder(public_of(name)) for name in ("one", "two", "gone"))
    ring = Keyring.of(OPERATORS)
    ring._holders = {(NAME, one.key): one, (NAME, gone.key): holder(public_of("gone"), ("commander",), active=False)}
    assert kept_from(ring, NAME, None) == [one]
    assert kept_from(ring, NAME, gone.key)[0].roles == {"commander"}
    assert mandate_for([one, two], NAME, public_of("new"), (), None).scope == SCOPE
    with pytest.raises(ManyMandates, match="different roles or scopes"):
        mandate_for([one, holder(public_of("two"), ("recorder",))], NAME, public_of("new"), (), None)
