"""`tallystick signals` on a deployment whose part does not run, and the part that is off unless somebody turned it on."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace as changed
from tests.support.signals import decision

from tallystick_infra.cli import cli
from tallystick_infra.deployment import Deployment
from tallystick_infra.signals import signals_settings
from tallystick_infra.supervisor import Supervisor
from tallystick_producers.gateway.token_file import read_tokens
from tallystick_schemas.errors import SettingsError
from tallystick_stream_jobs.shared_signals.errors import RotationRefused
from tallystick_stream_jobs.shared_signals.store import Store
from tallystick_stream_jobs.shared_signals.streams import created
from tallystick_stream_jobs.shared_signals.transmitter import Transmitter
from tallystick_stream_jobs.shared_signals.vocabulary import PUSH

TABLES = {"signals": {"enabled": True, "receivers": {"okta": {}}}}


@pytest.fixture
def deployment(tmp_path):
    return Deployment.create(tmp_path / "data", TABLES)


def run(deployment, *arguments, code=0):
    done = CliRunner().invoke(cli, ["signals", *arguments, "--data", str(deployment.path), "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    return json.loads(done.output.splitlines()[-1])


@pytest.fixture
def store(deployment):
    one = Store(deployment.path / "signals" / "signals.db")
    one.put_stream(created("s1", "okta", {"delivery": {"method": PUSH, "endpoint_url": "https://x", "authorization_header": "s3cret"}}))
    yield one
    one.close()


def test_keys_are_made_listed_and_rotated(deployment):
    (first,) = run(deployment, "keys", "list")["keys"]
    assert (first["state"], first["shown_until"]) == ("signs", None)
    rows = run(deployment, "keys", "rotate")["keys"]
    assert [(row["state"], row["shown_until"] is None) for row in rows] == [("signs", False), ("comes", True)]
    done = CliRunner().invoke(cli, ["signals", "keys", "rotate", "--data", str(deployment.path)])
    assert isinstance(done.exception, RotationRefused)
    assert RotationRefused.exit_code == 2
    (last,) = run(deployment, "keys", "rotate", "--compromised")["keys"]
    assert last["kid"] not in {row["kid"] for row in rows}
    assert (deployment.keys / "signals.json").stat().st_mode & 0o777 == 0o600


def test_a_token_is_shown_once_and_kept_as_a_hash(deployment):
    token = run(deployment, "token", "okta")["token"]
    file = Path(signals_settings(deployment).tokens_file)
    assert token not in file.read_text()
    assert read_tokens(file).find(token).principal == "okta"


@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e300"])
def test_a_token_without_a_span_of_days_is_not_made(deployment, days):
    done = CliRunner().invoke(cli, ["signals", "token", "okta", "--days", days, "--data", str(deployment.path)])
    assert done.exit_code == 2
    assert "--days" in done.output
    file = Path(signals_settings(deployment).tokens_file)
    assert not file.exists() or not file.read_bytes()


def test_a_token_for_nobody_is_refused(deployment):
    done = CliRunner().invoke(cli, ["signals", "token", "nobody", "--data", str(deployment.path)])
    assert done.exit_code != 0
    assert "there are: okta" in done.output


def test_streams_are_shown_without_their_secret(deployment, store):
    settings = signals_settings(deployment)
    Transmitter(settings, store).decided(decision(), ("decisions", 1), 0.0)
    (row,) = run(deployment, "streams")["streams"]
    assert (row["id"], row["receiver"], row["waiting"], row["taken"], row["refused"]) == ("s1", "okta", 2, 0, 0)
    assert "s3cret" not in json.dumps(row)
    assert "s1" in CliRunner().invoke(cli, ["signals", "streams", "--data", str(deployment.path)]).output


def test_a_verification_that_nobody_takes_is_exit_1(deployment, store):
    found = run(deployment, "verify", "s1", "--timeout", "0", code=1)
    assert (found["taken"], store.waiting("s1", 1)[0].jti) == (False, found["jti"])
    done = CliRunner().invoke(cli, ["signals", "verify", "s1", "--data", str(deployment.path)])
    assert "a moment ago" in done.output


def test_a_stream_in_trouble_is_exit_1(deployment, store):
    assert run(deployment, "status")["wrong"] == []
    store.change_stream("s1", lambda one: changed(one, last_error="answered 500"))
    assert run(deployment, "status", code=1)["wrong"] == ["s1"]


def test_the_part_runs_only_where_somebody_turned_it_on(tmp_path):
    on, off = Deployment.create(tmp_path / "on", TABLES), Deployment.create(tmp_path / "off", {})
    there, said = (
        Deployment.create(tmp_path / "there", {"signals": {"enabled": False}}),
        Deployment.create(tmp_path / "said", {"signals": {}}),
    )
    assert [("signals" in Supervisor(one).wanted) for one in (on, off, there, said)] == [True, False, False, False]
    with pytest.raises(SettingsError, match="colour"):
        Supervisor(Deployment.create(tmp_path / "bad", {"signals": {"colour": "red"}}))
