"""keys/clickhouse/: a password for each user of the embedded store and its certificate, in new deployments and in those of an earlier version."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tallystick_infra.clickhouse.grants import GRANTS, ROLES, Role
from tallystick_infra.clickhouse.passwords import Passwords
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment import certificate as certificate_module
from tallystick_infra.deployment.certificate import make_certificate
from tallystick_infra.deployment.store_secrets import make_store_secrets, password_file
from tallystick_infra.errors import UnsafeKeyFile
from tallystick_infra.supervisor.parts import Part
from tallystick_infra.supervisor.run import Supervisor


def test_a_new_deployment_has_a_password_for_each_user(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data")
    folder = deployment.keys / "clickhouse"
    files = {f"{role}.password" for role in ROLES}
    assert {path.name for path in folder.iterdir()} == files | {"server.key", "server.crt"}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    passwords = [(folder / name).read_text() for name in files]
    assert len(set(passwords)) == len(ROLES)
    assert min(map(len, passwords)) >= 43


@pytest.mark.parametrize("role", ROLES)
def test_each_process_signs_in_as_its_own_user(tmp_path: Path, role: Role) -> None:
    deployment = Deployment.create(tmp_path / "data")
    for settings in (deployment.clickhouse(role), deployment.jobs(role).clickhouse):
        assert settings.username == ("tallystick" if role == "owner" else role)
        assert settings.password == (deployment.keys / "clickhouse" / f"{role}.password").read_text()
        assert (settings.secure, settings.ca_cert) == (True, str(deployment.keys / "clickhouse" / "server.crt"))
        kwargs = settings.client_kwargs()
        assert (kwargs["secure"], kwargs["verify"], kwargs["ca_cert"]) == (True, True, settings.ca_cert)


def test_what_asks_without_a_name_may_only_read(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "data")
    assert {deployment.clickhouse().username, deployment.jobs().clickhouse.username} == {"cli"}
    assert (GRANTS["cli"].inserts, GRANTS["cli"].prunes) == ((), ())


def test_a_store_of_ones_own_has_a_certificate_beside_the_settings(tmp_path: Path) -> None:
    tables = {"embedded": {"clickhouse": False}, "clickhouse": {"username": "me", "secure": True, "ca_cert": "store.crt"}}
    deployment = Deployment.create(tmp_path / "data", tables)
    settings = deployment.clickhouse("notary")
    assert (settings.username, settings.ca_cert) == ("me", str(deployment.path / "store.crt"))
    assert Deployment.create(tmp_path / "plain", {"embedded": {"clickhouse": False}}).clickhouse().client_kwargs()["ca_cert"] is None


class Stopped(Exception):
    """The store was about to start."""


def start_of_store(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command with which the supervisor would have started it."""
    started: list[Part] = []

    def start(_self: Supervisor, part: Part) -> None:
        started.append(part)
        raise Stopped

    monkeypatch.setattr(Supervisor, "_start", start)
    monkeypatch.setattr(Supervisor, "_choose_ports", lambda self: self._ports.update(clickhouse=1))
    with pytest.raises(Stopped):
        Supervisor(deployment).start()
    return started[0].command


def test_a_deployment_of_an_earlier_version_gets_them_before_the_store_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Deployment.create(tmp_path / "data").keys
    for path in (keys / "clickhouse").iterdir():
        path.unlink()
    (keys / "clickhouse").rmdir()
    for name, password in (("clickhouse.password", "old owner"), ("clickhouse-auditor.password", "the auditor's")):
        (keys / name).write_text(password)
        (keys / name).chmod(0o600)
    deployment = Deployment.create(tmp_path / "data")
    # Whoever looks at it before it is started again finds everything, the old ones too: an earlier version may be running.
    assert (keys / "clickhouse.password").exists()
    command = start_of_store(deployment, monkeypatch)
    assert command[-4:] == ["--keys", str(keys / "clickhouse"), "--database", "tallystick"]
    assert {path.name for path in (keys / "clickhouse").iterdir()} == {*(f"{role}.password" for role in ROLES), "server.key", "server.crt"}
    assert deployment.clickhouse("auditor").password == "the auditor's"
    assert deployment.clickhouse("owner").password != "old owner"
    assert not (keys / "clickhouse.password").exists()
    assert not (keys / "clickhouse-auditor.password").exists()


def test_who_loses_a_password_gets_another_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = Deployment.create(tmp_path / "data")
    before = {role: deployment.clickhouse(role).password for role in ROLES}
    password_file(deployment.keys, "auditor").unlink()
    with pytest.raises(UnsafeKeyFile, match=r"auditor\.password cannot be read"):
        deployment.clickhouse("auditor")
    start_of_store(deployment, monkeypatch)
    after = {role: deployment.clickhouse(role).password for role in ROLES}
    assert {role for role in ROLES if after[role] != before[role]} == {"auditor"}


@pytest.mark.parametrize("name", ["cli.password", "server.key"])
def test_what_others_could_read_is_refused(tmp_path: Path, name: str) -> None:
    deployment = Deployment.create(tmp_path / "data")
    (deployment.keys / "clickhouse" / name).chmod(0o604)
    with pytest.raises(UnsafeKeyFile, match=f"{name} is open to other users"):
        make_store_secrets(deployment.keys)


def test_passwords_are_kept_as_hashes(tmp_path: Path) -> None:
    folder = make_store_secrets(tmp_path / "keys")
    passwords = Passwords.read(folder)
    said = {role: (folder / f"{role}.password").read_text() for role in ROLES}
    assert {role: passwords.role("tallystick" if role == "owner" else role, said[role]) for role in ROLES} == {role: role for role in ROLES}
    assert passwords.role("owner", said["owner"]) is None
    assert passwords.role("nobody", "") is None
    assert passwords.role("notary", "") is None
    assert passwords.role("notary", said["sealer"]) is None
    assert [role for role in ROLES if said[role] in repr(vars(passwords))] == []
    (folder / "cli.password").unlink()
    with pytest.raises(FileNotFoundError):
        Passwords.read(folder)


def test_a_user_without_a_password_is_nobody() -> None:
    assert Passwords({}).role("notary", "") is None


def test_the_certificate_is_good_for_this_machine_and_vouches_for_nobody(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    made = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    key = load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    assert made.public_key() == key.public_key()
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1", "::1"]
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert made.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3000)
    ssl.create_default_context(cafile=tmp_path / "server.crt")


def test_it_is_made_anew_when_half_of_it_is_gone_or_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def content() -> tuple[bytes, bytes]:
        return (tmp_path / "server.key").read_bytes(), (tmp_path / "server.crt").read_bytes()

    make_certificate(tmp_path)
    first = content()
    make_certificate(tmp_path)
    assert content() == first
    (tmp_path / "server.crt").unlink()
    make_certificate(tmp_path)
    second = content()
    assert (second[0] != first[0], second[1] != first[1]) == (True, True)
    monkeypatch.setattr(certificate_module, "_RENEW_DAYS", 3651)
    make_certificate(tmp_path)
    assert content()[0] != second[0]
