"""Changes of roles: what is signed under which number, in which order it goes where, and what is refused."""

from typing import Any

import pytest
from tests.support.signing import OPERATOR, OPERATORS, directive, key_of, public_of

from tallystick_infra import enrolling
from tallystick_infra.built_in import mandate_of
from tallystick_infra.enrolling import Roles, enrol_agents, revoke_keys
from tallystick_infra.errors import BadOrder, OrderRefused
from tallystick_infra.operator import Operator
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Kind
from tallystick_schemas.keys import key_id
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.records import parse_record
from tallystick_schemas.roles import Keyring, Scope
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.verdicts import Verdict

GIVEN = mandate_of(public_of("one"), ("point",), Scope(["access.*"]))
KEY = key_id(public_of("one"))


class World:
    """Kafka and the history: what came where, in order. `verdicts` by kind; a refused enrolment raises as the sender does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *known: bytes) -> None:
        self.log: list[tuple[str, int]] = []
        self.verdicts: dict[int, Verdict] = {}
        self.known = Keyring.of(OPERATORS)
        for raw in known:
            self.known.take(raw)
        monkeypatch.setattr(enrolling, "known_roles", lambda _: self.known)
        monkeypatch.setattr(enrolling, "operator_of", lambda _: Operator(OPERATOR))
        monkeypatch.setattr(enrolling, "record_sender", lambda *_: self)
        monkeypatch.setattr(enrolling, "publish", lambda _, holders: self.log.extend([("locks", holder.n) for holder in holders]))

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def send(self, _agent: str, record: bytes) -> None:
        self.log.append(("events", parse_record(record).kind))

    def wait(self, records: list[bytes], _seconds: float) -> list[Receipt]:
        kinds = [parse_record(record).kind for record in records]
        verdicts = [self.verdicts.get(kind, Verdict.ACCEPTED) for kind in kinds]
        if any(verdict > Verdict.SEEN for verdict in verdicts):
            raise OrderRefused("refused")
        return [Receipt("operator", "0" * 32, 0, int(verdict), 0, 7, "", "") for verdict in verdicts]


class Deployed:
    """What of a deployment is asked for."""

    def kafka_admin(self) -> KafkaSettings:
        return KafkaSettings()

    def kafka(self) -> KafkaSettings:
        return KafkaSettings()

    def log(self) -> LogSettings:
        return LogSettings("test", 4, OPERATORS)


DEPLOYED: Any = Deployed()


def roles(world: World) -> Roles:
    return Roles(DEPLOYED, Operator(OPERATOR), world.known, 1.0)


def test_a_role_is_in_the_history_before_it_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    enrol_agents(DEPLOYED, {"one": GIVEN}, "ann", 1.0)
    assert world.log == [("events", Kind.ENROL), ("events", Kind.DIRECTIVE), ("locks", 0)]


def test_a_role_ends_before_the_history_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, directive("one", ("point",), n=4))
    revoke_keys(DEPLOYED, [("one", KEY), ("other", "0" * 16)], "lost", 1.0)
    assert world.log == [("locks", 5), ("events", Kind.REVOKE), ("events", Kind.REVOKE), ("events", Kind.DIRECTIVE)]
    holder = world.known.holder("one", KEY)
    assert holder is not None
    assert not holder.active


def test_a_key_whose_enrolment_is_refused_gets_no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.verdicts[Kind.ENROL] = Verdict.REVOKED_KEY
    with pytest.raises(OrderRefused):
        enrol_agents(DEPLOYED, {"one": GIVEN}, "ann", 1.0)
    assert world.log == [("events", Kind.ENROL)]


def test_of_two_who_give_a_role_at_once_the_second_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number was taken: the other's words are in force, and must stay those that everybody has."""
    world = World(monkeypatch)
    world.verdicts[Kind.DIRECTIVE] = Verdict.SEEN
    with pytest.raises(OrderRefused, match="seen"):
        enrol_agents(DEPLOYED, {"one": GIVEN}, "ann", 1.0)
    assert ("locks", 0) not in world.log


def test_what_is_so_already_is_not_said_again_and_what_differs_has_the_next_number(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, directive("one", ("point",), n=4, scope=Scope(["access.*"])))
    assert roles(world).sign({"one": GIVEN}, 0.0) == []
    [wider] = roles(world).sign({"one": mandate_of(public_of("one"), ("point",), Scope())}, 0.0)
    assert (wider.n, wider.scope) == (5, Scope())


def test_a_key_whose_role_was_revoked_gets_none_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, directive("one", ("point",), revoked=True, n=4))
    with pytest.raises(BadOrder, match="revoked for good"):
        enrol_agents(DEPLOYED, {"one": GIVEN}, "ann", 1.0)
    assert world.log == []


def test_another_operators_key_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr(enrolling, "operator_of", lambda _: Operator(key_of("somebody")))
    with pytest.raises(ParseError, match="not pinned"):
        enrol_agents(DEPLOYED, {"one": GIVEN}, "ann", 1.0)
    assert world.log == []
