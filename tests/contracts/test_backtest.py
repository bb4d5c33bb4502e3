"""Back-tests over a real ClickHouse: which way, what it costs, and that both ways find the same people."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse
from tests.support.detecting import T0, findings, pull, read, timeline
from tests.support.history_tables import change_everywhere
from tests.support.sigma import SHIPPED
from tests.support.sigma_history import insert_batches

from tallystick_infra.cli.detect import detect
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.store_secrets import store_settings
from tallystick_schemas.messages import VerifiedBatch
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.detectors.registry import build_rules
from tallystick_stream_jobs.errors import RuleRefused
from tallystick_stream_jobs.sigma import backtest as backtest_module
from tallystick_stream_jobs.sigma.backtest import cost, crossings
from tallystick_stream_jobs.sigma.load import read_file
from tallystick_stream_jobs.sigma.reports import back_test, chosen_rule

pytestmark = pytest.mark.embedded
RULES = {rule.meta.id: rule for rule in build_rules()}
(SCRIPTED,) = read_file(SHIPPED / "scripted_client.yml")
(VOLUME,) = read_file(SHIPPED / "export_volume.yml")
DAY = (T0 - 3600, T0 + 86_400)


def history() -> list[VerifiedBatch]:
    """A harvester, an ordinary reader, one who meets a decoy, one who asks a model all day, and one whom doors refuse."""
    events = [
        *pull(60, 20.0, principal="harvester@example.org"),
        *pull(20, 300.0, principal="reader@example.org"),
        (50.0, read(50, "bait", "curious@example.org", canary=True)),
        *[(n * 5.0, read(n * 5.0, "x", "asker@example.org", action="model.infer")) for n in range(520)],
        *[(n * 3.0, read(n * 3.0, f"p-{n}", "knocker@example.org", outcome="denied")) for n in range(50)],
    ]
    return timeline(sorted(events, key=lambda one: one[0]))


HISTORY = history()


LIES = {
    "action": "agent.start",
    "principal": "nobody",
    "credential": "",
    "outcome": "error",
    "part": "x",
    "time": "1971-01-01 00:00:00.000000",
}


@pytest.fixture(scope="module", params=["true columns", "columns that lie"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        insert_batches(server.client(), HISTORY)
        insert_batches(server.client(), HISTORY[:50])  # a row that stands there twice counts once
        if request.param != "true columns":
            change_everywhere(server.client(), "events", LIES)
            change_everywhere(
                server.client(), "ledger_entries", {"verdict": "9", "agent": "nobody", "append_time": "1971-01-01 00:00:00.000"}
            )
        yield server


@pytest.fixture(scope="module")
def client(server: EmbeddedClickHouse) -> Client:
    return server.client(role="cli")


@pytest.mark.parametrize(("name", "people"), [("D01", {"harvester"}), ("D02", set()), ("D10", {"asker"}), ("D13", {"curious"})])
def test_lines_as_sql_find_whom_the_detector_finds_at_the_same_place(client: Client, name: str, people: set[str]) -> None:
    """The first crossing of each principal; later ones depend on what a detector has told already."""
    rule = RULES[name]
    report = back_test(client, rule, *DAY)
    streamed = findings(HISTORY, Engine((rule,)))
    assert report["way"] == "sql"
    assert {one["principal"].partition("@")[0] for one in report["found"]} == people
    first_sql = {one["principal"]: (one["place"], one["value"]) for one in reversed(report["found"])}
    first_stream = {one.principal: (":".join(map(str, one.evidence[-1])), one.value) for one in reversed(streamed)}
    assert first_sql == first_stream


@pytest.mark.parametrize("name", ["D01", "D05", "D10", "D13"])
def test_a_replay_is_the_detector_itself(client: Client, name: str) -> None:
    report = back_test(client, RULES[name], *DAY, replay=True)
    streamed = findings(HISTORY, Engine((RULES[name],)))
    assert report["way"] == "replay"
    assert [(one["principal"], one["time"], one["value"], one["act"]) for one in report["found"]] == [
        (one.principal, one.time, one.value, one.act) for one in streamed
    ]
    assert streamed


def test_a_detector_without_a_window_is_replayed(client: Client) -> None:
    report = back_test(client, RULES["D05"], *DAY)
    assert (report["way"], report["principals"]) == ("replay", 1)


def test_only_the_time_that_was_asked_for(client: Client) -> None:
    """Events before it fill the window; a crossing before it is not listed."""
    whole = back_test(client, RULES["D01"], *DAY)["found"]
    later = back_test(client, RULES["D01"], T0 + 600, T0 + 86_400)["found"]
    assert later == [one for one in whole if one["time"] >= "2026-11-23T04:10"]
    assert 0 < len(later) < len(whole)
    assert back_test(client, RULES["D13"], T0 + 51, T0 + 60)["found"] == []


def test_slices_change_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    window = back_test(client, RULES["D01"], *DAY)["found"]
    monkeypatch.setattr(backtest_module, "_SLICE", 7)
    assert back_test(client, RULES["D01"], *DAY)["found"] == window


def test_own_rules_run_as_sql(client: Client) -> None:
    for rule in (SCRIPTED, VOLUME):
        report = back_test(client, rule, *DAY)
        assert (report["way"], report["findings"]) == ("sql", 0)
        assert crossings(client, rule.definition.window, *DAY) == []


def test_what_cannot_be_back_tested_says_so(client: Client, tmp_path: object) -> None:
    with pytest.raises(RuleRefused, match="notary"):
        back_test(client, RULES["D12"], *DAY)
    with pytest.raises(RuleRefused, match="not later"):
        back_test(client, RULES["D01"], T0, T0)
    with pytest.raises(RuleRefused, match="there are D01"):
        chosen_rule("D99", SHIPPED)
    assert chosen_rule("U-6b2e4081", SHIPPED).meta.title == SCRIPTED.meta.title
    assert chosen_rule(str(SHIPPED / "self_grant.yml"), SHIPPED).meta.id == "U-5a1d3f70"


def test_what_it_costs() -> None:
    """Findings less than an hour apart are one alert a principal."""
    spent = cost([("a", 0.0), ("a", 3000.0), ("a", 6000.0), ("a", 9600.0), ("b", 10.0)], 0.0, 2 * 86_400.0)
    assert (spent.findings, spent.alerts, spent.principals, spent.alerts_a_day, spent.alerts_a_principal) == (5, 3, 2, 1.5, 1.5)


def test_the_command(server: EmbeddedClickHouse, tmp_path: Path) -> None:
    store = {"port": server.port, **store_settings(server.keys, "cli")}
    Deployment.create(tmp_path / "d", {"embedded": {"clickhouse": False}, "clickhouse": store})
    words = ["backtest", "D01", "--data", str(tmp_path / "d"), "--from", "2026-11-23", "--to", "2026-11-24T00:00"]
    told = CliRunner().invoke(detect, [*words, "--json"], catch_exceptions=False)
    report = json.loads(told.stdout.splitlines()[-1])
    assert (report["rule"], report["way"], report["days"], report["principals"]) == ("D01", "sql", 1.0, 1)
    assert report["alerts_a_day"] == report["alerts"] >= 1
    shown = CliRunner().invoke(detect, words, catch_exceptions=False).output
    assert "harvester@example.org" in shown
    assert "Done by sql: the line for alerts" in shown
