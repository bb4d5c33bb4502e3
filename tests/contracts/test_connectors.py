"""What every connector owes, over all of them, each against a real peer: moto's server, a real Keycloak 26, Vault or its double, small HTTP servers."""

import logging
import time
import traceback

import pytest
from tests.support.keycloak import keycloak
from tests.support.peers import AwsPeer, HookPeer, KeycloakPeer, SignalPeer, TokenPeer, VaultPeer, moto, redirect
from tests.support.receiver import NOW, Reply, decision, delivery

from tallystick_schemas.errors import SettingsError
from tallystick_stream_jobs.connectors.errors import AddressRefused, ConnectorError, Refused, Retry
from tallystick_stream_jobs.connectors.registry import KINDS, load

pytestmark = pytest.mark.timeout(300)
QUICK_S = 0.4
ALL = ("webhook", "ssf-push", "rfc7009", "aws-iam", "vault", "keycloak")


@pytest.fixture(scope="module")
def keycloak_server(tmp_path_factory):
    with keycloak(tmp_path_factory.mktemp("keycloak") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


def make(kind, request):
    if kind == "keycloak":
        return KeycloakPeer(request.getfixturevalue("keycloak_server"))
    if kind == "aws-iam":
        return AwsPeer(request.getfixturevalue("aws"))
    return {"webhook": HookPeer, "ssf-push": SignalPeer, "rfc7009": TokenPeer, "vault": VaultPeer}[kind]()


@pytest.fixture(params=ALL)
def peer(request):
    one = make(request.param, request)
    yield one
    one.close()


def lock(peer, number=1, level="suspend", **more):
    return delivery(decision("locked", peer.subject, number, level), "c", **more)


def unlock(peer, number=9, **more):
    return delivery(decision("unlocked", peer.subject, number), "c", **more)


def test_every_kind_is_in_this_suite():
    assert set(KINDS) == set(ALL)


def test_a_lock_takes_hold_and_says_what_it_did(peer):
    assert not peer.is_locked()
    assert peer.connector().deliver(lock(peer), NOW)
    assert peer.is_locked()


def test_a_repeat_changes_nothing(peer):
    connector = peer.connector()
    connector.deliver(lock(peer), NOW)
    told = len(getattr(peer, "told", ()))
    assert connector.deliver(lock(peer, attempts=2), NOW)
    assert peer.is_locked()
    assert len(getattr(peer, "told", ())) == told


@pytest.mark.parametrize("level", ["suspend", "revoke"])
def test_an_unlock_takes_back_what_the_lock_did(peer, level):
    connector = peer.connector()
    said = connector.deliver(lock(peer, level=level), NOW)
    answer = connector.deliver(unlock(peer, detail=said), NOW)
    assert answer
    assert peer.is_locked() is not peer.undoes
    if peer.undoes:
        connector.deliver(unlock(peer, detail=said, attempts=2), NOW)
        assert not peer.is_locked()


def test_an_unlock_after_an_attempt_that_nobody_knows_the_end_of(peer):
    """The process was killed in its lock: what it said is lost, what it did is not."""
    connector = peer.connector()
    connector.deliver(lock(peer), NOW)
    connector.deliver(unlock(peer, detail=""), NOW)
    assert peer.is_locked() is not peer.undoes


def test_a_lock_that_was_killed_halfway_and_comes_again_can_still_be_undone(peer):
    connector = peer.connector()
    connector.deliver(lock(peer), NOW)
    said = connector.deliver(lock(peer, attempts=2), NOW)
    connector.deliver(unlock(peer, detail=said), NOW)
    assert peer.is_locked() is not peer.undoes


def test_a_second_lock_keeps_what_the_first_one_knew(peer):
    connector = peer.connector()
    first = connector.deliver(lock(peer), NOW)
    second = connector.deliver(lock(peer, 2, "revoke", detail=first), NOW)
    connector.deliver(unlock(peer, detail=second), NOW)
    assert peer.is_locked() is not peer.undoes


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_peer_in_trouble_is_tried_again(peer, status):
    connector = peer.connector()
    peer.mood = Reply(status, b"{}", {"content-type": "application/json"})
    with pytest.raises(Retry):
        connector.deliver(lock(peer), NOW)
    peer.mood = None
    connector.deliver(lock(peer, attempts=2), NOW)
    assert peer.is_locked()


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_peer_that_says_no_is_not_asked_again(peer, status):
    peer.mood = Reply(status, b"{}", {"content-type": "application/json"})
    with pytest.raises(Refused, match=r"(?i)4\d\d|Forbidden|Unauthorized|InvalidRequest|refused"):
        peer.connector().deliver(lock(peer), NOW)


def test_a_peer_that_hangs_costs_the_time_out(peer):
    peer.mood = Reply(hang=True)
    with pytest.raises(Retry):
        peer.connector(timeout_s=QUICK_S).deliver(lock(peer), NOW)


def test_a_peer_that_redirects_is_not_followed(peer):
    peer.door.requests.clear()  # what made the subject there
    peer.mood = redirect(peer)
    with pytest.raises(Refused, match="redirects"):
        peer.connector().deliver(lock(peer), NOW)
    assert len(peer.door.requests) == 1


def test_an_address_of_our_own_network_gets_nothing_unless_allowed(peer):
    peer.door.requests.clear()
    with pytest.raises((AddressRefused, Refused)):
        peer.connector(allow_private=False).deliver(lock(peer), NOW)
    https = {key: value.replace("http://", "https://") for key, value in peer.table.items() if isinstance(value, str)}
    with pytest.raises(AddressRefused):
        peer.connector(**https, allow_private=False).deliver(lock(peer), NOW)
    assert peer.door.requests == []


@pytest.mark.parametrize(
    "mood",
    [None, Reply(500, b"oops"), Reply(403, b"no"), Reply(200, b"not json"), Reply(400, b'{"error":"tok-s3cret-1"}'), Reply(hang=True)],
)
def test_no_secret_is_told(peer, mood, caplog):
    caplog.set_level(logging.DEBUG)
    peer.mood = mood
    said = ""
    try:
        said = peer.connector(timeout_s=QUICK_S if mood and mood.hang else 20.0).deliver(lock(peer), NOW)
    except ConnectorError as error:
        said = "".join(traceback.format_exception(error))
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith(("tallystick", "httpx", "httpcore", "hvac")))
    for secret in peer.secrets:
        assert secret not in said + ours


def test_whether_it_still_works_is_asked_of_the_peer(peer):
    connector = peer.connector()
    if not peer.introspects:
        assert not hasattr(connector, "still_works")
        return
    assert connector.still_works(lock(peer), NOW)
    connector.deliver(lock(peer), NOW)
    assert connector.still_works(lock(peer), NOW) is None


def test_a_step_up_holds_when_what_was_signed_in_before_is_ended_and_a_new_sign_in_does_not_change_that(peer):
    if not peer.introspects:
        return
    connector = peer.connector()
    peer.sign_in()
    one = delivery(decision("locked", peer.subject, 1, "step-up", at=time.time() + 2), "c")
    assert connector.still_works(one, NOW)
    connector.deliver(one, NOW)
    assert connector.still_works(one, NOW) is None
    earlier = delivery(decision("locked", peer.subject, 1, "step-up", at=time.time() - 60), "c")
    peer.sign_in()
    assert connector.still_works(earlier, NOW) is None


def test_somebody_who_is_unknown_there_is_no_error(peer):
    stranger = delivery(decision("locked", "principal:nobody-of-this-name", 5), "c")
    said = peer.connector().deliver(stranger, NOW)
    assert said
    assert not peer.is_locked() or isinstance(peer, HookPeer | SignalPeer)


def test_mistakes_in_the_settings_are_all_told_at_once():
    tables = {
        "a": {"kind": "webhook", "url": 7},
        "b": {"kind": "carrier-pigeon"},
        "c": {"kind": "keycloak", "url": "https://x", "realm": "r", "client_id": "i", "secret_file": "s", "colour": "red"},
        "d e": {"kind": "webhook"},
        "e": {"kind": "webhook", "url": "https://x", "secret_file": "short"},
        "f": {"kind": "aws-iam", "access_key_id": "k", "secret_file": "s", "principals": {"ann": 1}},
    }
    with pytest.raises(SettingsError) as refused:
        load(tables, lambda name: b"short" if name == "short" else b"x" * 30, "test")
    text = "\n".join(refused.value.mistakes)
    for said in (
        "[a] url is 7",
        "[a] secret_file is missing",
        "carrier-pigeon",
        "no setting 'colour'",
        "'d e'",
        "shorter than 24",
        "[f] principals",
    ):
        assert said in text


# What only one of them does


def test_keycloak_ends_sessions_and_offline_tokens(keycloak_server):
    peer = KeycloakPeer(keycloak_server)
    online = keycloak_server.sign_in(peer.principal).raise_for_status().json()
    offline = keycloak_server.sign_in(peer.principal, "openid offline_access").raise_for_status().json()
    assert (keycloak_server.refresh(offline), keycloak_server.userinfo(online)) == (200, 200)
    connector = peer.connector()
    said = connector.deliver(lock(peer), NOW)
    assert (keycloak_server.user(peer.principal)["enabled"], keycloak_server.sessions(peer.principal)) == (False, [])
    assert (keycloak_server.refresh(offline), keycloak_server.refresh(online), keycloak_server.userinfo(online)) == (400, 400, 401)
    assert keycloak_server.sign_in(peer.principal).status_code == 400
    assert "1 offline sessions revoked" in said
    before = keycloak_server.user(peer.principal)
    connector.deliver(unlock(peer, detail=said), NOW)
    after = keycloak_server.user(peer.principal)
    assert {**before, "enabled": True} == after, "nothing else about the user may change"
    assert keycloak_server.sign_in(peer.principal).status_code == 200
    assert (keycloak_server.refresh(offline), keycloak_server.refresh(online)) == (400, 400), "what was revoked stays so"
    peer.close()


def test_keycloak_step_up_ends_sessions_and_lets_him_sign_in_anew(keycloak_server):
    peer = KeycloakPeer(keycloak_server)
    tokens = keycloak_server.sign_in(peer.principal).raise_for_status().json()
    peer.connector().deliver(lock(peer, level="step-up"), NOW)
    assert keycloak_server.refresh(tokens) == 400
    assert keycloak_server.sign_in(peer.principal).status_code == 200
    peer.close()


def test_keycloak_leaves_shut_what_somebody_else_had_shut(keycloak_server):
    peer = KeycloakPeer(keycloak_server)
    peer.principal = keycloak_server.make_user(enabled=False)
    connector = peer.connector()
    said = connector.deliver(lock(peer), NOW)
    connector.deliver(unlock(peer, detail=said), NOW)
    assert peer.is_locked()
    assert "nothing to undo" in connector.deliver(unlock(peer), NOW)
    peer.close()


def test_keycloak_finds_a_user_by_his_address(keycloak_server):
    peer = KeycloakPeer(keycloak_server)
    name, peer.principal = peer.principal, f"{peer.principal}@example.org"
    peer.connector().deliver(lock(peer), NOW)
    assert not keycloak_server.user(name)["enabled"]
    peer.close()


def test_aws_denies_older_tokens_and_switches_on_only_what_it_switched_off(aws):
    peer = AwsPeer(aws)
    peer.iam.update_access_key(UserName=peer.user, AccessKeyId=peer.keys[1], Status="Inactive")
    connector = peer.connector()
    connector.deliver(lock(peer), NOW)
    document = peer.iam.get_user_policy(UserName=peer.user, PolicyName="TallystickLock")["PolicyDocument"]
    condition = {"DateLessThan": {"aws:TokenIssueTime": decision().at[:19] + "Z"}}
    assert document["Statement"][0] == {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    connector.deliver(unlock(peer), NOW)
    assert peer.policies() == []
    assert peer.status() == {peer.keys[0]: "Active", peer.keys[1]: "Inactive"}
    peer.close()


def test_aws_with_the_policy_of_an_older_lock_holds_no_newer_one(aws):
    peer = AwsPeer(aws)
    connector = peer.connector()
    connector.deliver(lock(peer), NOW)
    newer = delivery(decision("locked", peer.subject, 2, at=NOW + 60), "c")
    assert "no policy denies" in connector.still_works(newer, NOW)
    connector.deliver(newer, NOW)
    assert connector.still_works(newer, NOW) is None
    peer.close()


def test_aws_finds_the_user_of_an_access_key_and_leaves_keys_alone_at_a_step_up(aws):
    peer = AwsPeer(aws)
    one = decision("locked", f"credential:{peer.keys[0]}", 1, "step-up")
    peer.connector().deliver(delivery(one, "c"), NOW)
    assert peer.policies() == ["TallystickLock"]
    assert set(peer.status().values()) == {"Active"}
    peer.close()


@pytest.mark.parametrize("principal", ["arn:aws:sts::123456789012:assumed-role/Train/session-7", "train-service"])
def test_aws_locks_roles(aws, principal):
    peer = AwsPeer(aws)
    if "Train" not in [role["RoleName"] for role in peer.iam.list_roles()["Roles"]]:
        peer.iam.create_role(RoleName="Train", AssumeRolePolicyDocument="{}")
    connector = peer.connector(principals={"train-service": "role/Train"})
    one = delivery(decision("locked", f"principal:{principal}"), "c")
    assert connector.still_works(one, NOW)
    connector.deliver(one, NOW)
    assert peer.iam.list_role_policies(RoleName="Train")["PolicyNames"] == ["TallystickLock"]
    assert connector.still_works(one, NOW) is None
    connector.deliver(delivery(decision("unlocked", f"principal:{principal}", 2), "c"), NOW)
    assert peer.iam.list_role_policies(RoleName="Train")["PolicyNames"] == []
    peer.close()


def test_vault_revokes_tokens_and_nobody_elses():
    peer = VaultPeer()
    others = set(peer.accessors()) - {peer.token["accessor"]}
    said = peer.connector().deliver(lock(peer), NOW)
    assert set(peer.accessors()) == others
    assert "1 token revoked" in said
    peer.close()


def test_vault_revokes_one_token_by_its_accessor():
    peer = VaultPeer()
    one = delivery(decision("locked", f"credential:{peer.token['accessor']}"), "c")
    connector = peer.connector()
    assert connector.deliver(one, NOW) == "revoked token"
    assert connector.still_works(one, NOW) is None
    assert "no token has this accessor" in connector.deliver(one, NOW)
    assert not peer.is_locked()
    peer.close()


def test_rfc7009_revokes_the_one_credential_that_is_named():
    peer = TokenPeer()
    peer.connector().deliver(delivery(decision("locked", "credential:c2"), "c"), NOW)
    assert peer.active == {"tok-s3cret-1"}
    peer.close()


def test_rfc7009_without_introspection_claims_to_prove_nothing():
    peer = TokenPeer()
    del peer.table["introspection_endpoint"]
    assert not hasattr(peer.connector(), "still_works")
    peer.close()


def test_rfc7009_names_the_line_that_is_no_token_and_not_what_stands_there():
    peer = TokenPeer()
    peer.files["tokens.jsonl"] += "\ntok-s3cret-9"
    with pytest.raises(Refused, match=r"line 4 of keys/tokens\.jsonl") as refused:
        peer.connector().deliver(lock(peer), NOW)
    assert "s3cret-9" not in "".join(traceback.format_exception(refused.value))
    peer.close()
