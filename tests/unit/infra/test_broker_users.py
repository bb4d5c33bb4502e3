"""The embedded broker's users as files, its certificates, and the same table as commands for a cluster of one's own."""

import datetime as dt
import itertools
import shlex
import stat
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

from tallystick_infra.cli import cli
from tallystick_infra.clickhouse.grants import GRANTS, Role
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.broker_users import BrokerUsers, CertificateFiles
from tallystick_infra.deployment.directory import BUILT_IN_AGENTS
from tallystick_infra.deployment.keyfiles import make_key, replace_secret
from tallystick_infra.errors import UnsafeKeyFile
from tallystick_infra.kafka.acl_commands import acl_commands, agents_as_users
from tallystick_infra.kafka.tls import SUPER_USERS, make_certificates
from tallystick_infra.supervisor import run
from tallystick_producers.errors import KeyFileError
from tallystick_producers.recorder import Recorder
from tallystick_schemas.access import AGENT, PARTS, POINT, Rule, access_of, access_table, agent_user

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def test_a_new_deployment_has_a_password_for_each_part(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    passwords = {role: password for role, password, _ in deployment.broker_users.every()}
    assert set(passwords) == {row.role for row in PARTS}
    assert len(set(passwords.values())) == len(PARTS)
    assert min(map(len, passwords.values())) >= 43, "256 bits in base64"
    assert modes(deployment.keys) == {0o600}


def test_each_part_comes_with_its_own_user(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    for row in PARTS:
        kafka = deployment.kafka(row.role)
        assert (kafka.security_protocol, kafka.sasl_mechanism, kafka.sasl_username) == ("SASL_PLAINTEXT", "SCRAM-SHA-512", row.role)
        if row.role in GRANTS:  # the others are no jobs, and have no user at the store
            assert deployment.jobs(cast("Role", row.role)).kafka == kafka
        assert kafka.sasl_password is not None
        assert kafka.sasl_password not in repr(kafka)
    for name in BUILT_IN_AGENTS:
        assert deployment.agent(name).kafka == deployment.kafka(name)


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    deployment.broker_users.part("notary")[1].chmod(0o604)
    with pytest.raises(UnsafeKeyFile, match="chmod 600"):
        deployment.kafka("notary")


def test_an_agent_that_nobody_admitted_has_no_password(tmp_path: Path) -> None:
    """Asking for its settings makes none: what lies there becomes a user at the next start."""
    deployment = Deployment.create(tmp_path / "d", {})
    make_key(deployment.agent_key("trainer"))
    settings = deployment.agent("trainer")
    assert not deployment.broker_users.agent("trainer")[1].exists()
    with pytest.raises(KeyFileError, match=r"trainer\.password cannot be read.*agent enrol"):
        Recorder.open(settings)


def test_agents_are_users_of_their_own_kind(tmp_path: Path) -> None:
    users = BrokerUsers(tmp_path)
    users.ensure(BUILT_IN_AGENTS)
    user, path = users.admit("team/trainer@example.org:1", point=False)
    users.admit("door", point=True)
    kept = path.read_bytes()
    assert user == "agent/team/trainer@example.org:1"
    assert {name: role for name, _, role in users.every() if "/" in name} == {user: AGENT, "agent/door": POINT}
    users.admit("team/trainer@example.org:1", point=True)
    assert (users.one("team/trainer@example.org:1")[2], path.read_bytes()) == (POINT, kept)
    users.admit("team/trainer@example.org:1", point=False)
    assert users.one("team/trainer@example.org:1")[2] == POINT, "enrolled once more, it stays what it was"
    users.forget("team/trainer@example.org:1")
    assert [name for name, _, _ in users.every() if "/" in name] == ["agent/door"]


@pytest.mark.parametrize("name", ["notary", "cli", "responder"])
def test_no_agent_is_taken_for_a_part(tmp_path: Path, name: str) -> None:
    assert BrokerUsers(tmp_path).agent(name)[0] not in {row.role for row in access_table()}


def test_agents_of_before_there_were_users_are_let_in_once(tmp_path: Path) -> None:
    for name in ("trainer", "team%2fdoor", "gateway"):
        make_key(tmp_path / "agents" / f"{name}.key")
    users = BrokerUsers(tmp_path)
    users.ensure(BUILT_IN_AGENTS)
    assert {name: role for name, _, role in users.every() if "/" in name} == {"agent/trainer": AGENT, "agent/team/door": AGENT}
    users.forget("trainer")
    users.ensure(BUILT_IN_AGENTS)
    assert [name for name, _, _ in users.every() if "/" in name] == ["agent/team/door"], "whoever was sent away stays away"


def test_certificates_are_of_their_authority_for_loopback_and_new_each_time(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path / "tls")
    make_certificates(files, NOW)
    assert modes(tmp_path) == {0o600}
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    broker, admin = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (files.broker, files.admin))
    for one in (broker, admin):
        authority.public_key().verify(one.signature, one.tbs_certificate_bytes, ECDSA(one.signature_hash_algorithm))  # type: ignore[union-attr, call-arg, arg-type]
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert {f"User:{one.subject.rfc4514_string()}" for one in (broker, admin)} == set(SUPER_USERS.split(";"))
    assert b"PRIVATE KEY" not in files.authority.read_bytes()
    before = [path.read_bytes() for path in (files.authority, files.broker, files.admin)]
    make_certificates(files, NOW)
    assert all(path.read_bytes() != old for path, old in zip((files.authority, files.broker, files.admin), before, strict=True))


def test_a_secret_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o644)
    (tmp_path / ".secret.new").write_bytes(b"left by a crash")
    replace_secret(path, b"new")
    assert (path.read_bytes(), modes(tmp_path), list(tmp_path.iterdir())) == (b"new", {0o600}, [path])


def rules_of(command: str) -> tuple[str, set[Rule]]:
    """What one command of Kafka's tool allows whom."""
    words = shlex.split(command)
    assert words[:1] == ["kafka-acls.sh"]
    values: dict[str, list[str]] = {}
    for name, value in itertools.pairwise(words):
        if name.startswith("--") and not value.startswith("--"):
            values.setdefault(name, []).append(value)
    assert "--add" in words
    (principal,) = values["--allow-principal"]
    return principal.removeprefix("User:"), {
        Rule(kind, name, operation)  # type: ignore[arg-type]  # as they stand in the command
        for kind in ("topic", "group")
        for name in values.get(f"--{kind}", [])
        for operation in values["--operation"]
    }


def test_the_commands_say_what_the_table_says() -> None:
    agents = agents_as_users(("a b",), ("door",))
    said: dict[str, set[Rule]] = {}
    for command in acl_commands("k1:9092,k2:9092", "admin.properties", {"svc-notary": "notary", **agents}):
        user, rules = rules_of(command)
        said.setdefault(user, set()).update(rules)
        assert "--bootstrap-server k1:9092,k2:9092 --command-config admin.properties --add" in command
    wanted = {row.role: row.rules() for row in PARTS if row.role != "notary"}
    wanted |= {
        "svc-notary": access_of("notary").rules(),
        agent_user("a b"): access_of(AGENT).rules(),
        "agent/door": access_of(POINT).rules(),
    }
    assert said == wanted


def test_the_command_prints_them_and_asks_nobody(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {"embedded": {"kafka": False}, "kafka": {"bootstrap": "127.0.0.1:1"}})
    given = ["topics", "acls", "--data", str(deployment.path), "--point", "door", "--user", "notary=svc"]
    done = CliRunner().invoke(cli, given, standalone_mode=False)
    assert done.exception is None
    assert done.stdout.splitlines() == acl_commands("127.0.0.1:1", None, {"svc": "notary", "agent/door": POINT})
    for wrong in ("nobody=svc", "notary", "notary=", "notary=a\nb"):
        assert CliRunner().invoke(cli, [*given, "--user", wrong]).exit_code == 2


def test_a_kafka_of_ones_own_keeps_its_own_users(tmp_path: Path) -> None:
    password = tmp_path / "kafka.password"
    password.write_text("theirs\n")
    password.chmod(0o600)
    own = {"bootstrap": "k:9092", "sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "us", "sasl_password_file": str(password)}
    tables = {"embedded": {"kafka": False}, "kafka": {**own, "security_protocol": "SASL_SSL"}}
    deployment = Deployment.create(tmp_path / "d", tables)
    for kafka in (deployment.kafka("notary"), deployment.agent("trainer").kafka, deployment.kafka_admin()):
        assert (kafka.sasl_username, kafka.sasl_password, kafka.security_protocol) == ("us", "theirs", "SASL_SSL")
    password.chmod(0o604)
    with pytest.raises(KeyFileError, match="chmod 600"):
        deployment.kafka()


def test_the_supervisors_parts_are_the_tables_rows() -> None:
    assert {row.role for row in PARTS} == {*run.START_ORDER, "cli"} - {"kafka", "clickhouse"}
