"""Settings with a password in them are read from files that are their owner's alone."""

import stat
from pathlib import Path

import pytest

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.config_files import secrets_in
from tallystick_infra.settings_check import mistakes
from tallystick_schemas.errors import SettingsError

ELSEWHERE = {
    "embedded": {"kafka": False, "clickhouse": False},
    "kafka": {"sasl_username": "svc", "sasl_password": "hunter2"},
    "clickhouse": {"password": "hunter3"},
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_and_its_directory_are_their_owners(tmp_path: Path) -> None:
    made = Deployment.create(tmp_path / "d", ELSEWHERE)
    assert (mode(made.path), mode(made.path / "tallystick.toml")) == (0o700, 0o600)
    assert made.kafka().sasl_password == "hunter2"


@pytest.mark.parametrize(("tables", "said", "shards"), [({}, "", 4), ({"log": {"shards": 2}}, "", 2), ({"log": {"shards": 2}}, "8", 8)])
def test_a_new_file_names_the_number_of_shards_and_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: dict[str, dict[str, int]], said: str, shards: int
) -> None:
    if said:
        monkeypatch.setenv("TALLYSTICK_LOG_SHARDS", said)
    path = Deployment.create(tmp_path / "d", {"gateway": {"root": "/r"}, **tables}).path
    monkeypatch.delenv("TALLYSTICK_LOG_SHARDS", raising=False)
    lines = (path / "tallystick.toml").read_text().splitlines()
    at = lines.index(f"shards = {shards}")
    assert lines[at - 1].startswith("# ")
    assert "Chosen once" in "".join(lines[at - 2 : at])
    assert Deployment.open(path).log().shards == shards


@pytest.mark.parametrize(("section", "name", "own"), [("kafka", "sasl_password", True), ("clickhouse", "password", False)])
def test_a_file_for_a_password_is_named_where_there_is_a_setting_for_it(tmp_path: Path, section: str, name: str, own: bool) -> None:
    path = Deployment.create(tmp_path / "d", {"embedded": ELSEWHERE["embedded"], section: {name: "hunter2"}}).path / "tallystick.toml"
    path.chmod(0o644)
    with pytest.raises(SettingsError) as told:
        Deployment.open(path.parent)
    assert ("sasl_password_file" in str(told.value), "TALLYSTICK_<SECTION>_<NAME>" in str(told.value)) == (own, True)


@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_file_with_passwords_that_is_open_to_others_is_refused_with_the_mend(tmp_path: Path, wrong: int) -> None:
    path = Deployment.create(tmp_path / "d", ELSEWHERE).path / "tallystick.toml"
    path.chmod(wrong)
    with pytest.raises(SettingsError) as told:
        Deployment.open(path.parent)
    (said,) = told.value.mistakes
    assert (
        f"{path} holds [kafka] sasl_password, [clickhouse] password and is open to other users (mode {wrong:04o}); run: chmod 600 {path}"
        in said
    )
    assert "hunter" not in said
    path.chmod(0o600)
    Deployment.open(path.parent)


@pytest.mark.parametrize("wrong", [0o750, 0o705, 0o770, 0o1777, 0o711])
def test_so_is_one_in_a_directory_that_is_open_to_others(tmp_path: Path, wrong: int) -> None:
    path = Deployment.create(tmp_path / "d", ELSEWHERE).path
    path.chmod(wrong)
    with pytest.raises(
        SettingsError, match=rf"in a directory that is open to other users \(mode {wrong:04o}\); run: chmod 700 {path}; or keep"
    ):
        Deployment.open(path)
    path.chmod(0o700)
    Deployment.open(path)


def test_without_a_password_nothing_is_refused(tmp_path: Path) -> None:
    """Settings are no secret, and a directory that others may look into is common (a volume, a packager's /var/lib)."""
    tables = {
        "embedded": {"kafka": False},
        "kafka": {"sasl_username": "svc", "sasl_password_file": "/run/secrets/kafka"},
        "gateway": {"root": "/r"},
    }
    path = Deployment.create(tmp_path / "d", tables).path
    (path / "tallystick.toml").chmod(0o644)
    path.chmod(0o755)
    assert Deployment.open(path).gateway().root == "/r"


def test_a_secret_in_connectors_toml_is_held_to_the_same(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    path = deployment.path / "connectors.toml"
    path.write_text('[siem]\nkind = "webhook"\nsecret_file = "siem.secret"\n[siem.headers]\ntoken = "t0p"\n')
    path.chmod(0o644)
    with pytest.raises(SettingsError, match=r"connectors.toml holds \[siem.headers\] token and is open"):
        deployment.connectors()
    assert any("chmod 600" in one for one in mistakes(deployment)), "doctor and `up` tell it too"
    path.chmod(0o600)
    assert set(deployment.connectors()) == {"siem"}


@pytest.mark.parametrize("name", ["password", "sasl_password", "secret", "client_secret", "token", "key_passphrase"])
def test_what_a_secret_is_called(name: str) -> None:
    assert list(secrets_in({"a": {"b": {name: "x"}}})) == [f"[a.b] {name}"]
    assert not list(secrets_in({"a": {f"{name}_file": "x", name: "", f"{name}s_kept": "x"}}))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = Deployment.create(tmp_path / "d", {}).path
    (path / "connectors.toml").mkdir()
    with pytest.raises(SettingsError, match=r"connectors\.toml cannot be read: Is a directory"):
        Deployment.open(path).connectors()
    (path / "tallystick.toml").write_bytes(b"\xff = 1")
    with pytest.raises(SettingsError, match=r"tallystick\.toml: "):
        Deployment.open(path)
