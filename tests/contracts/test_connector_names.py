"""Names that want to be more than a name, for every connector: nobody but the one who is named is touched, and a protected one is not by another name."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.keycloak_double import KeycloakDouble
from tests.support.peers import AwsPeer, HookPeer, Peer, SignalPeer, TokenPeer, VaultPeer, moto
from tests.support.receiver import NOW, Reply, decision, delivery, json_reply

from tallystick_stream_jobs.connectors.errors import ConnectorError, Refused
from tallystick_stream_jobs.connectors.registry import KINDS, load

pytestmark = pytest.mark.timeout(300)
CEO = "ceo"
HOSTILE = [
    "../id/@ID@",
    "../name/ceo",
    "x/../ceo",
    "ceo/",
    "/ceo",
    "./ceo",
    "ceo/.",
    "a/b",
    "%2e%2e%2fid%2f@ID@",
    "%2e%2e/name/ceo",
    "ceo%00",
    "ceo?x=y",
    "ceo#b",
    "ceo&username=ceo",
    "ceo;x",
    "..",
    ".",
    "",
    "ceo\n",
    "\r\nx: ceo",
    "\u202eoec",
    "ceo\u200b",
    "*",
    "ce*",
    "ceo@example.org\u0301",
    "x" * 200_000,
    "a\u030a" * 40,
    "user/ceo",
    "arn:aws:iam::123456789012:user/../ceo",
    "arn:aws:iam::123456789012:user/other/ceo",
    "arn:aws:iam::999999999999:user/ceo",
    "arn:aws:iam::123456789012:user/team/",
    "arn:aws:sts::999999999999:assumed-role/ceo/x",
]
PIECES = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "%2e", "%2f", "%25", "?", "#", "&", "=", "*", "id", "name", "@ID@", "x", "é", "\u202e"])
)
NAMES = PIECES.map("".join)
ID = "@ID@"
"""Stands for the id that the bystander has there."""


class KeycloakDoublePeer(Peer):
    ceo = f"id-{CEO}"

    def __init__(self) -> None:
        self.double = KeycloakDouble("ann", CEO)
        super().__init__(self.double.answer, {"kc.secret": "kc-s3cret"})
        self.table = {"kind": "keycloak", "url": self.door.url, "realm": "t", "client_id": "c", "secret_file": "kc.secret"}

    def state(self) -> object:
        return json.dumps(self.double.users)

    def is_locked(self) -> bool:
        return not self.double.users[0]["enabled"]


class VaultNames(VaultPeer):
    """With somebody else in it, whose entity has an id that can be guessed."""

    def state(self) -> object:
        return self.vault.secrets.identity.read_entity(self.ceo)["data"]["disabled"], self.is_locked(), sorted(self.accessors())

    def _make(self, real: bool) -> None:
        super()._make(real)
        self.ceo = self.vault.secrets.identity.create_or_update_entity_by_name(name=CEO)["data"]["id"]


class AwsNames(AwsPeer):
    ceo = CEO

    def __init__(self, url: str) -> None:
        super().__init__(url)
        if CEO not in [user["UserName"] for user in self.iam.list_users()["Users"]]:
            self.iam.create_user(UserName=CEO)

    def state(self) -> object:
        return self.iam.list_user_policies(UserName=CEO)["PolicyNames"], self.policies(), self.status()


class TokenNames(TokenPeer):
    ceo = CEO

    def state(self) -> object:
        return sorted(self.active)


class Told:
    ceo = CEO

    def state(self) -> object:
        return None


class HookNames(Told, HookPeer):
    pass


class SignalNames(Told, SignalPeer):
    pass


PEERS = {
    "webhook": HookNames,
    "ssf-push": SignalNames,
    "rfc7009": TokenNames,
    "vault": VaultNames,
    "keycloak": KeycloakDoublePeer,
    "aws-iam": AwsNames,
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(params=sorted(PEERS), scope="module")
def peer(request):
    one = PEERS[request.param](request.getfixturevalue("aws")) if request.param == "aws-iam" else PEERS[request.param]()
    one.one = one.connector()
    yield one
    one.close()


def lock_of(name: str, kind: str = "principal", **more: str):
    one = decision("locked", f"{kind}:{name}", **more)
    return delivery(one, "c")


def tried(ask, one) -> str | None:
    """What was said; a refusal is an answer as well, and its words steer no terminal."""
    said: str | None
    try:
        said = ask(one, NOW)
    except ConnectorError as error:
        said = str(error)
    assert said is None or said.isprintable()
    return said


def unowned(one):
    """A decision that does not know whose credential it is about."""
    return msgspec.structs.replace(one, principal=None)


def test_every_kind_is_in_this_suite():
    assert set(KINDS) == set(PEERS)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_touches_nobody_else(peer, name):
    before, one = peer.state(), lock_of(name.replace(ID, peer.ceo))
    assert tried(peer.one.deliver, one)
    assert peer.state() == before
    if hasattr(peer.one, "still_works"):
        tried(peer.one.still_works, one)
    assert peer.state() == before


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_credential_touches_nobody_else(peer, name):
    before = peer.state()
    assert tried(peer.one.deliver, delivery(unowned(decision("locked", f"credential:{name.replace(ID, peer.ceo)}")), "c"))
    assert peer.state() == before


@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_no_name_of_such_pieces_touches_anybody(peer, name):
    before = peer.state()
    tried(peer.one.deliver, lock_of(name.replace(ID, peer.ceo)))
    assert peer.state() == before


def test_what_is_told_by_json_is_the_name_as_it_is():
    peer = HookPeer()
    for number, name in enumerate(HOSTILE):
        peer.connector().deliver(delivery(decision("locked", f"principal:{name}", number), "c"), NOW)
        assert peer.told[-1]["decision"]["subject"] == f"principal:{name}"
    peer.close()


# What comes back


def test_vault_acts_on_no_entity_of_another_name():
    peer = VaultNames()
    upstream = peer.upstream

    def other(request):
        if request.path.endswith("/identity/entity/name/eve") and request.method == "GET":
            return json_reply({"data": {"id": peer.ceo, "name": CEO, "disabled": False}})
        return upstream(request)

    peer.upstream = other
    before = peer.state()
    with pytest.raises(Refused, match="'eve' and answered with 'ceo'"):
        peer.connector().deliver(lock_of("eve"), NOW)
    assert peer.state() == before
    peer.close()


def test_vault_revokes_no_other_token_than_the_one_of_the_accessor():
    peer = VaultNames()
    upstream = peer.upstream

    def other(request):
        if request.path.endswith("lookup-accessor"):
            return json_reply({"data": {"accessor": "another", "entity_id": ""}})
        return upstream(request)

    peer.upstream = other
    before = sorted(peer.accessors())
    with pytest.raises(Refused, match="another token"):
        peer.connector().deliver(lock_of(peer.token["accessor"], "credential"), NOW)
    peer.upstream = upstream
    assert sorted(peer.accessors()) == before
    peer.close()


def test_vault_knows_no_case_and_is_not_taken_for_wrong():
    peer = VaultNames()
    upstream = peer.upstream
    peer.upstream = lambda request: upstream(
        type(request)(request.method, request.path.replace("ANN", "ann"), request.headers, request.body)
    )
    peer.connector().deliver(lock_of(peer.principal.upper()), NOW)
    assert peer.is_locked()
    peer.close()


def test_keycloak_acts_on_no_user_of_another_name():
    peer = KeycloakDoublePeer()
    peer.double.instead = [peer.double.users[1]]
    before = peer.state()
    with pytest.raises(Refused, match="'ann' and answered with 'ceo'"):
        peer.connector().deliver(lock_of("ann"), NOW)
    assert peer.state() == before
    peer.close()


def test_keycloak_locks_both_spellings_of_a_name():
    peer = KeycloakDoublePeer()
    peer.connector().deliver(lock_of("Ann@Example.ORG"), NOW)
    assert [user["enabled"] for user in peer.double.users] == [False, True]
    peer.close()


def test_aws_locks_no_user_of_another_account_or_path(aws):
    peer = AwsNames(aws)
    for arn in (f"arn:aws:iam::999999999999:user/team/{peer.user}", f"arn:aws:iam::123456789012:user/{peer.user}"):
        with pytest.raises(Refused, match="answered with 'arn:aws:iam::123456789012:user/team/"):
            peer.connector().deliver(lock_of(arn), NOW)
    assert peer.policies() == []
    peer.close()


def test_aws_locks_nobody_by_an_access_key_that_is_another_ones(aws):
    peer, other = AwsNames(aws), AwsNames(aws)
    one = decision("locked", f"credential:{other.keys[0]}")
    with pytest.raises(Refused, match=f"is that of the user '{other.user}'"):
        peer.connector().deliver(delivery(msgspec.structs.replace(one, principal=peer.principal), "c"), NOW)
    assert (peer.policies(), other.policies()) == ([], [])
    peer.connector().deliver(delivery(msgspec.structs.replace(one, principal=other.principal), "c"), NOW)
    assert other.policies() == ["TallystickLock"]
    peer.close()
    other.close()


def test_rfc7009_revokes_for_every_spelling_of_a_name():
    peer = TokenPeer()
    peer.files["tokens.jsonl"] = json.dumps({"principal": "Ann@example.org", "token": "tok-s3cret-1"})
    peer.connector().deliver(lock_of("ann@Example.org"), NOW)
    assert peer.active == {"tok-s3cret-2"}
    peer.close()


# Whom two people are needed for


def guarded(peer, protected, **more):
    table = {"allow_private": True, "timeout_s": 20.0, **peer.table, **more}
    return load({"c": table}, lambda name: peer.files[name].encode(), "test", lambda: frozenset(protected))["c"]


@pytest.mark.parametrize("protected", [CEO, "Ceo@Example.org"])
def test_keycloak_shuts_no_protected_user_under_another_name(protected):
    peer = KeycloakDoublePeer()
    connector = guarded(peer, [protected], principals={"ceo@example.org": CEO, "alias": CEO})
    before = peer.state()
    with pytest.raises(Refused, match="is protected"):
        connector.deliver(lock_of("alias"), NOW)
    assert peer.state() == before
    connector.deliver(lock_of(protected), NOW)
    assert not peer.double.users[1]["enabled"], "two people ordered it by this very name"
    connector.deliver(delivery(decision("unlocked", "principal:alias", 2), "c", detail="disabled user"), NOW)
    assert peer.double.users[1]["enabled"], "lifting is always possible"
    peer.close()


def test_vault_disables_no_protected_entity_under_another_name():
    peer = VaultNames()
    connector = guarded(peer, [CEO], principals={"alias": CEO})
    before = peer.state()
    with pytest.raises(Refused, match="is protected"):
        connector.deliver(lock_of("alias"), NOW)
    assert peer.state() == before
    peer.close()


@pytest.mark.parametrize("by", ["user/{0.user}", None])
def test_aws_locks_no_protected_user_by_an_access_key(aws, by):
    peer = AwsNames(aws)
    table = {"chief@example.org": by.format(peer)} if by else {}
    protected = "Chief@example.org" if by else peer.principal
    connector = guarded(peer, [protected], principals=table)
    with pytest.raises(Refused, match="is protected"):
        connector.deliver(delivery(unowned(decision("locked", f"credential:{peer.keys[0]}")), "c"), NOW)
    assert not peer.policies()
    assert set(peer.status().values()) == {"Active"}
    connector.deliver(lock_of(protected), NOW)
    assert peer.is_locked()
    peer.close()


def test_a_refusal_of_a_name_is_no_bad_mood():
    """A server that answers with a redirect for a name that is not clean is not followed."""
    peer = VaultNames()
    peer.mood = Reply(301, b"", {"location": "/v1/identity/entity/id/x"})
    with pytest.raises(Refused, match="redirects"):
        peer.connector().deliver(lock_of("a//b"), NOW)
    peer.close()
