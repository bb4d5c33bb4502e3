"""What a drill brings to a deployment: policy entries, rules, and the page's example; and clients that notice a cut."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import pytest
import yaml
from tests.support.pages import ROOT

from tallystick_infra.deployment import Deployment
from tallystick_infra.drills.catalogue import find, names
from tallystick_infra.drills.client import Client
from tallystick_infra.drills.own_rules import known_rules
from tallystick_infra.drills.policy_file import entries, without_drills
from tallystick_infra.drills.receiver import receiver_port
from tallystick_infra.drills.run import suspensions
from tallystick_infra.drills.scenario import parse_scenario
from tallystick_infra.drills.stage import shard_of
from tallystick_infra.drills.steps import Download, Step
from tallystick_infra.errors import DrillUnusable
from tallystick_stream_jobs.policy import parse
from tallystick_stream_jobs.sigma.load import load_files

PAGE = (ROOT / "docs" / "drills.md").read_text()


def test_the_page_names_every_drill_and_every_step_and_sight():
    for name in names():
        assert f"\n| {name} |" in PAGE
    from tallystick_infra.drills.sights import Sight

    for kind in (*Step.__args__, *Sight.__args__):
        tag = kind.__struct_config__.tag
        assert any(tag in row.split("|")[1].replace(",", " ").split() for row in PAGE.splitlines() if row.startswith("| ")), tag


def test_the_page_s_example_can_be_played():
    _, _, rest = PAGE.partition("    title: A decoy is opened\n")
    lines = [line[4:] for line in ("    title: A decoy is opened\n" + rest).split("\n\n")[0].splitlines()]
    assert parse_scenario("example", "\n".join(lines)).scenario.hostile == ["eve"]


def test_what_drills_need_in_the_policy_is_a_policy_and_goes_again():
    drills = {"a1": find("break-glass-misuse"), "b2": find("insider-purpose-mismatch"), "c3": find("stolen-token-weight-grab")}
    found = entries(drills, 1_800_000_000.0)
    policy = parse(yaml.safe_dump(found))
    assert policy.protected == frozenset({"drill-a1-breakglass@drill.invalid"})
    assert sorted(grant.id for grant in policy.grants) == ["drill-b2-dana", "drill-b2-ivan"]
    assert policy.grants[0].covers("datasets/drill-b2/evaluation", 1_800_000_001.0)
    assert not policy.grants[0].covers("datasets/drill-b2/payroll", 1_800_000_001.0)
    theirs = {"mode": "recommend", "protected": [{"principal": "root@example.org", "reason": "last resort"}]}
    both = {**theirs, "protected": [*theirs["protected"], *found["protected"]], "grants": found["grants"]}
    assert without_drills(both) == theirs
    assert entries({"c3": drills["c3"]}, 0.0) == {}


def test_rules_that_come_with_drills_pass_their_examples():
    paths = [files("tallystick_infra.drills") / "rules" / name for name in known_rules()]
    rules, errors = load_files(paths)
    assert errors == ()
    assert {rule.meta.id for rule in rules} == {"U-6f7c1c0e"}
    wanted = {name for drill in map(find, names()) for name in drill.scenario.rules}
    assert wanted == set(known_rules())


def test_the_shard_of_an_agent_is_that_of_every_client():
    """Values of Apache Kafka's own test of murmur2 (UtilsTest.testMurmur2)."""
    for text, value in (("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)):
        assert shard_of(text, 1 << 31) == value & 0x7FFFFFFF
        assert shard_of(text, 4) == (value & 0x7FFFFFFF) % 4


@pytest.mark.parametrize("url", [None, "https://hooks.example.org/x", "http://127.0.0.1/x"])
def test_a_receiver_needs_its_connector(tmp_path, url):
    deployment = Deployment.create(tmp_path)
    if url is not None:
        (tmp_path / "connectors.toml").write_text(f'[drill-receiver]\nkind = "webhook"\nurl = "{url}"\n')
    scenario = find("receiver-outage").scenario
    with pytest.raises(DrillUnusable, match="drill-receiver"):
        receiver_port(deployment, scenario)
    (tmp_path / "connectors.toml").write_text('[drill-receiver]\nkind = "webhook"\nurl = "http://127.0.0.1:4711/x"\n')
    assert receiver_port(deployment, scenario) == 4711
    assert receiver_port(deployment, find("model-extraction").scenario) is None


class _Cuts(BaseHTTPRequestHandler):
    def do_GET(self):
        status = 200 if self.path != "/no" else 403
        self.send_response(status)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * (1000 if self.path == "/whole" else 400))

    def log_message(self, *_):
        pass


def test_a_client_notices_a_cut():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Cuts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Client(f"http://127.0.0.1:{server.server_port}", "t")
    try:
        assert [(a.status, a.size, a.cut) for a in map(client.get, ("/whole", "/cut", "/no"))] == [
            (200, 1000, False),
            (200, 400, True),
            (403, 400, False),
        ]
    finally:
        client.close()
        server.shutdown()
        server.server_close()


def test_suspensions_are_counted_before_the_breaker_counts_them():
    assert suspensions([find("stolen-token-weight-grab"), find("re-minting-race"), find("model-extraction")]) == 3


def test_where_nothing_runs_nothing_is_drilled(tmp_path):
    tables = {"embedded": {"kafka_port": 1, "controller_port": 1, "clickhouse_port": 1}, "gateway": {"port": 1}}
    Deployment.create(tmp_path, tables)
    command = [sys.executable, "-m", "tallystick_infra.cli", "drill", "run", "model-extraction", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "the gateway at http://127.0.0.1:1 does not answer" in done.stderr) == (3, True), done.stderr
    assert not (tmp_path / "drills").exists()


def test_steps_refuse_what_would_take_for_ever():
    text = "title: x\nseed: 1\ntechniques: []\nstory: x\nprincipals: {a: {}}\nresources: {r: {}}\nexpect: [{see: lock}]\nsteps: [%s]\n"
    for step in ("{do: download, who: a, what: r, at: 301}", "{do: record, who: a, what: r, action: model.infer, count: 20001}"):
        with pytest.raises(Exception, match="cannot be played"):
            parse_scenario("x", text % step)
    assert isinstance(parse_scenario("x", text % "{do: download, who: a, what: r}").scenario.steps[0], Download)
