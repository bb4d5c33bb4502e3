"""Every command that prints what others wrote shows it: on a screen, in a pipe, as JSON and as an error. `HOSTILE` is planted wherever text comes from."""

import io
import json
import re
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from rich.table import Table
from rich.text import Text
from tests.support.hostile import ALL, FORGED, HOSTILE, LONG, acts, squeezed
from tests.support.policies import finding
from tests.support.sigma import SHIPPED
from tests.support.signing import opener

import tallystick_infra.cli as command_line
from tallystick_audit.verify.report import Failure, Outcome, Report
from tallystick_infra import enrolment
from tallystick_infra.cli import (
    agents,
    detect,
    detect_backtest,
    feedback,
    main,
    outbox,
    respond,
    respond_look,
    respond_show,
)
from tallystick_infra.cli.audit_view import show_report
from tallystick_infra.cli.collect import _show as show_collected
from tallystick_infra.cli.doctor_check import Check
from tallystick_infra.cli.drill import _show as show_drill
from tallystick_infra.cli.tables import Listing
from tallystick_infra.demo.story import Story
from tallystick_infra.deployment import Deployment
from tallystick_infra.drills.grade import Grades, Lost, Mark
from tallystick_infra.drills.leftovers import Cleared
from tallystick_infra.drills.page import page
from tallystick_infra.drills.results import History, Moment, Result
from tallystick_infra.enrolment import EnrolledAgent
from tallystick_infra.evaluate.tables import Table as Figures
from tallystick_infra.evaluate.tables import markdown
from tallystick_infra.evaluate.tables import shown as shown_figures
from tallystick_infra.terminal import Terminal, bar, lines, out, styled, timed
from tallystick_producers import Recorder, keyring
from tallystick_producers.collectors import Report as Collected
from tallystick_producers.gateway.tokens import token_record
from tallystick_schemas.blast_radius import GROUPS, Hit, Plan
from tallystick_schemas.envelope import NO_NUMBER
from tallystick_schemas.errors import SettingsError, TallystickError
from tallystick_schemas.evidence import Cited
from tallystick_schemas.locks import Held, LockTopic
from tallystick_schemas.messages import Decision, Delivery, Denial, Lock, Point
from tallystick_schemas.roles import Keyring
from tallystick_schemas.shown import shown
from tallystick_schemas.signing import wire_time
from tallystick_schemas.standing import Standing as Stands
from tallystick_stream_jobs.outbox import orders
from tallystick_stream_jobs.responder import client, lock_topic, points, topics
from tallystick_stream_jobs.responder.lock_topic import ReadTopic
from tallystick_stream_jobs.sigma import reports
from tallystick_stream_jobs.triage import store
from tallystick_stream_jobs.triage.store import Closed, Quality

NOW = time.time()
AT, LATER = wire_time(NOW - 5), wire_time(NOW + 1_800)
ID = "0123456789abcdef"


@dataclass
class Planted:
    """A world in which one hostile text stands everywhere."""

    name: str
    patch: pytest.MonkeyPatch
    deployment: Deployment
    recorded: list[str] = field(default_factory=list)

    @property
    def lock(self) -> Lock:
        return Lock(subject=f"principal:{self.name}", state="locked", reason=self.name, command=self.name, by=self.name, at=AT)

    @property
    def decision(self) -> Decision:
        return Decision(
            id=self.name,
            at=AT,
            by=self.name,
            choice="suspend",
            subject=f"principal:{self.name}",
            reason=self.name,
            proposed=self.lock,
            expires=LATER,
        )

    @property
    def delivery(self) -> Delivery:
        return Delivery(id=self.name, decision=self.decision, connector=self.name, state="given-up", created_at=AT, error=self.name)

    @property
    def denial(self) -> Denial:
        name = self.name
        return Denial(command=name, subject=name, point=name, state="refused", locked_at=AT, tried_at=AT, how=name)

    def world(self) -> None:
        """What every reader gives."""
        one = finding(principal=self.name, at=0, id=ID, title=self.name, text=self.name, resource=self.name, credential=self.name)
        told = points.Standing(
            Point(name=self.name, kind="gateway", version="1", at=AT), 1.0, {f"principal:{self.name}": None}, frozenset([self.name])
        )
        closed = Closed("false-positive", self.name, self.name, datetime(2026, 1, 1, tzinfo=UTC))
        withdrew = Decision(id="w", at=AT, by="ana", choice="suspend", subject=self.name, reason=self.name, policy={"withdraws": self.name})
        readers: list[tuple[Any, str, Callable[..., Any]]] = [
            (client, "read_locks", lambda *_: [self.lock]),
            (client, "read_findings", lambda *_: [one]),
            (client, "wait_decided", lambda *_: Decision(**{**_fields(self.decision), "lock": self.lock})),
            (topics, "read_decisions", lambda *_: [self.decision, withdrew]),
            (points, "read_enforcement", lambda *_: None),
            (points, "standing", lambda *_: [told]),
            (orders, "read_outbox", lambda *_: [self.delivery]),
            (orders, "read_proofs", lambda *_: [self.denial]),
            (orders, "wait_changed", lambda *_: self.delivery),
            (orders, "order", lambda *_: None),
            (enrolment, "ledger_keyring", lambda *_: None),
            (store, "read_closed", lambda *_: {ID: closed}),
            (store, "read_ids", lambda *_: []),
            (store, "read_decisions", lambda *_: [_decided(self.name)]),
            (store, "read_evidence", lambda *_: {(0, 0, 0): Cited(b"", Stands.REMOVED)}),
            (store, "read_quality", lambda *_: [Quality(self.name, 1, 1, 0, 1, 1, 0, 0, 1.0, 0.9, 1.0, 1, 0.0, 60.0)]),
            (respond, "_silent", lambda *_: "responder"),
            (respond_look, "kinds_in_tokens", lambda *_: {"principal"}),
            (respond_show, "read_plan", lambda *_: self.plan()),
            (respond_show, "knock", lambda *_: None),
            (feedback, "knock", lambda *_: None),
            (agents, "agents_of", lambda *_: [EnrolledAgent(self.name, self.name, 0, False, 1, AT)]),
            (agents, "read_roles", lambda *_: Keyring.of(())),
            (keyring, "read_opener", lambda *_: None),
            (lock_topic, "read_lock_topic", lambda *_: self.topic()),
            (Recorder, "open", lambda *_: nullcontext(SimpleNamespace(record=lambda *_, **__: self.name, wait_receipts=lambda *_: None))),
        ]
        for where, what, answer in readers:
            self.patch.setattr(where, what, answer)
        self.patch.setattr(respond, "_open", lambda *_: self.deployment)
        for module in (respond, respond_show, outbox, detect, detect_backtest, feedback, agents):
            self.patch.setattr(module, "open_running", lambda *_, **__: self.deployment)

    def topic(self) -> ReadTopic:
        """The topic of locks with the one lock."""
        topic = LockTopic(opener())
        topic.held[self.lock.subject] = Held(self.lock, NO_NUMBER, "responder", "")
        return ReadTopic(topic, None, False, 0)

    def plan(self) -> Plan:
        hit = Hit(1, [self.name])
        return Plan(f"principal:{self.name}", AT, AT, 0, None, **dict.fromkeys(GROUPS, hit))

    def result(self) -> Result:
        mark = Mark(self.name, False, within_s=1.0, seen=self.name)
        return Result(
            run="r1",
            scenario=self.name,
            title=self.name,
            story=self.name,
            techniques=[self.name],
            seed=1,
            began=NOW,
            ended=NOW,
            deployment=self.name,
            grades=Grades(NOW, [mark], [mark], Lost(1, 1), {}),
            history=History("fail", "fail", "fail", 1, 1, [self.name]),
            timeline=[Moment(NOW, NOW, "attack", self.name, self.name, (0, 0, 0))],
            told=[self.name],
            errors=[self.name],
            cleaned=self.name,
        )

    def report(self) -> Report:
        bad = (Failure(6, 0, 1, self.name), Failure(6, 0, 2, self.name))
        return Report(Outcome.FAIL, Outcome.PASS, Outcome.UNKNOWN, 1, 1, bad, 2, (), 0, 0, 0, 1, 0.1)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _decided(name: str) -> dict[str, Any]:
    attrs = {"by": name, "guard.mode": name, "alternatives": f"suspend: {name}"}
    return {"shard": 1, "index": 7, "pos": 2, "time": AT, "by": name, "text": name, "attrs": attrs}


@pytest.fixture(params=["all", "long"])
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Planted:
    return Planted({"all": ALL, "long": LONG}[request.param], monkeypatch, Deployment.create(tmp_path / "data"))


@pytest.fixture(params=["pipe", "screen"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where it is printed; the screen is one without colours, so that every escape in it would be somebody else's."""
    if request.param == "screen":
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    return str(request.param)


def check(planted: Planted, said: str, screen: str) -> None:
    """Nothing acts in it, no line was forged, and the text is there for everybody to see."""
    assert acts(said) == []
    # A long one is folded beside other columns: its beginning is enough.
    assert squeezed(shown(ALL if planted.name == ALL else LONG[:8])) in squeezed(said)
    if screen == "pipe":
        assert not any(line.startswith(FORGED) for line in said.splitlines())


def run(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What a command said, on both streams; also where it ends with an error."""
    with suppress(SystemExit):
        main([*command])
    said = capsys.readouterr()
    return said.out + said.err


WHY = ("--reason", "seen twice")
COMMANDS = [
    ("locks",),
    ("locks", "--all"),
    ("lock", "somebody", "--plan"),
    ("lock", "somebody", "--replace", *WHY),
    ("lock", "somebody", *WHY, "--minutes", "1"),
    ("unlock", "somebody", *WHY),
    ("revoke", "somebody", *WHY),
    ("findings",),
    ("findings", "close", ID, "--disposition", "true-positive-malicious", *WHY),
    ("outbox", "list"),
    ("outbox", "proofs"),
    ("agent", "list"),
    ("detect", "explain", ID),
    ("detect", "quality"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_show_it(command: tuple[str, ...], planted: Planted, screen: str, capsys: pytest.CaptureFixture[str]) -> None:
    planted.world()
    check(planted, run(capsys, *command, "--data", str(planted.deployment.path)), screen)


def test_a_long_name_floods_no_screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    planted = Planted(LONG, monkeypatch, Deployment.create(tmp_path / "data"))
    planted.world()
    listed = run(capsys, "outbox", "list", "--data", str(planted.deployment.path))
    assert len(listed.splitlines()) == 2
    assert "… and 9,004 characters more" in listed


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_orders_about_deliveries_show_it(verb: str, planted: Planted, screen: str, capsys: pytest.CaptureFixture[str]) -> None:
    planted.world()
    check(planted, run(capsys, "outbox", verb, "--data", str(planted.deployment.path), *WHY, "--", planted.name), screen)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_json_is_exact_and_does_nothing_to_a_terminal(
    command: tuple[str, ...], planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.world()
    run_out = run(capsys, *command, "--json", "--data", str(planted.deployment.path))
    assert acts(run_out) == []
    told = json.loads(next(line for line in run_out.splitlines() if line.startswith("{")))
    assert planted.name in _texts(told)


def _texts(value: Any) -> str:
    """All strings of a JSON value, one after the other."""
    if isinstance(value, dict):
        return "".join(map(_texts, [*value, *value.values()]))
    return "".join(map(_texts, value)) if isinstance(value, list) else str(value)


def errors_of(name: str) -> list[Exception]:
    return [
        TallystickError(f"somebody said {name}"),
        SettingsError([f"somebody said {name}"]),
        click.ClickException(name),
        click.UsageError(name),
        click.BadParameter(name, param_hint=name),
    ]


@pytest.mark.parametrize("number", range(5))
def test_errors_show_it(
    number: int, planted: Planted, screen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise errors_of(planted.name)[number]

    monkeypatch.setattr(command_line.cli, "main", fails)
    said = run(capsys, "locks")
    # A sentence of click's may have lines of its own: what they cannot do is pass for another message.
    assert acts(said) == []
    assert squeezed(shown(planted.name).replace("\\n", "")) in squeezed(said.replace("\\n", ""))


def collected(name: str) -> Collected:
    report = Collected()
    report.read, report.refused = 2, 1
    report.skipped.append({"place": name, "reason": name})
    report.unreadable.append({"place": name, "reason": name})
    return report


def story(planted: Planted) -> None:
    """The scenes of the demo that speak of names and failures."""
    told = Story.__new__(Story)
    told._say = lambda text: out().print(timed(text))
    for text in (planted.name, f"  lock     {planted.name}"):
        told._say(text)


PRINTED: dict[str, Callable[[Planted], None]] = {
    "audit verify": lambda planted: show_report(planted.report()),
    "drill run": lambda planted: show_drill(out(), planted.result()),
    "demo": story,
    "collect": lambda planted: show_collected(collected(planted.name), SimpleNamespace(path=planted.name, left_out=0), None, as_json=False),
    "evaluate": lambda planted: out().print(shown_figures(Figures(planted.name, planted.name, ["", planted.name], [[planted.name] * 2]))),
    "orders": lambda planted: out().print(respond._sentence(replaced(planted.decision, lock=planted.lock))),
    "a style": lambda planted: out().print(planted.name, style="bold red"),
}


def replaced(value: Any, **changes: Any) -> Any:
    return type(value)(**{**_fields(value), **changes})


@pytest.mark.parametrize("what", list(PRINTED))
def test_reports_show_it(what: str, planted: Planted, screen: str, capsys: pytest.CaptureFixture[str]) -> None:
    PRINTED[what](planted)
    said = capsys.readouterr()
    check(planted, said.out + said.err, screen)


def test_doctor_shows_it(planted: Planted, screen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from tallystick_infra.cli import doctor

    monkeypatch.setattr(doctor, "_guarded", lambda *_: [Check(planted.name, False, planted.name, planted.name)])
    monkeypatch.setattr(doctor, "_dead", lambda _: {})
    check(planted, run(capsys, "doctor", "--data", str(planted.deployment.path)), screen)


def test_tokens_show_it(planted: Planted, screen: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(planted.deployment.gateway().tokens_file)
    record = token_record("t" * 43, "ann", "human", roles=("r",))
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {**{name: getattr(record, name) for name in record.__struct_fields__}, "principal": planted.name, "roles": [planted.name]}
    path.write_text(json.dumps(line) + "\n" + json.dumps({**line, "kind": planted.name}) + "\n")
    path.chmod(0o600)
    said = run(capsys, "token", "list", "--data", str(planted.deployment.path))
    assert acts(said) == []
    assert said.count("\\x1b[2J") >= 1


def in_yaml(text: str) -> str:
    """A double-quoted scalar (YAML 1.2, section 7.3.1)."""
    return '"' + "".join(char if char.isascii() and char.isalnum() else f"\\U{ord(char):08x}" for char in text) + '"'


def test_rules_show_it(screen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Deployment.create(tmp_path / "data").path
    folder = data / "rules"
    folder.mkdir()
    good = (SHIPPED / "self_grant.yml").read_text().split("\n")
    (folder / "one.yml").write_text("\n".join(f"title: {in_yaml(ALL[:200])}" if row.startswith("title:") else row for row in good))
    (folder / "two.yml").write_text("\n".join(f"{row}\n? {in_yaml(ALL)}\n: x" if row.startswith("title:") else row for row in good))
    for command in (("rules", "test"), ("rules", "list"), ("detect", "list")):
        said = run(capsys, *command, "--data", str(data))
        assert acts(said) == []
        assert squeezed(shown(ALL))[:40] in squeezed(said)


def test_a_policy_shows_it(screen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = Deployment.create(tmp_path / "data")
    Path(deployment.jobs().policy_file).write_text(f"version: 1\n? {in_yaml(ALL)}\n: 1\n")
    for command in (("detect", "policy"), ("detect", "list"), ("detect", "policy", "set", deployment.jobs().policy_file, *WHY)):
        said = run(capsys, *command, "--data", str(deployment.path))
        assert acts(said) == []
        assert squeezed(shown(ALL)) in squeezed(said)


def test_a_back_test_shows_it(planted: Planted, screen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import clickhouse_connect

    planted.world()
    one = {"time": AT, "principal": planted.name, "value": 1.0, "threshold": 1.0, "place": planted.name, "act": "alert"}
    figures = {"days": 1.0, "findings": 1, "alerts": 1, "principals": 1, "alerts_a_day": 1.0, "alerts_a_principal": 1.0}
    told = {"rule": planted.name, "title": planted.name, "way": "sql", "means": planted.name, "found": [one], "truncated": False, **figures}
    monkeypatch.setattr(clickhouse_connect, "get_client", lambda **_: None)
    monkeypatch.setattr(reports, "chosen_rule", lambda *_: SimpleNamespace(meta=SimpleNamespace(id=planted.name)))
    monkeypatch.setattr(reports, "back_test", lambda *_, **__: told)
    check(planted, run(capsys, "detect", "backtest", "D01", "--from", "2026-01-01", "--data", str(planted.deployment.path)), screen)


def test_a_drill_s_leftovers_show_it(
    planted: Planted, screen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tallystick_infra.drills import leftovers

    monkeypatch.setattr(leftovers, "alone", lambda _: nullcontext())
    monkeypatch.setattr(leftovers, "clear", lambda _: Cleared(troubles=[planted.name]))
    check(planted, run(capsys, "drill", "clean", "--data", str(planted.deployment.path)), screen)


@pytest.mark.parametrize("trick", list(HOSTILE))
def test_each_trick_fails_alone(trick: str, screen: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Listing("who", "why", whole=("who",), below="why")
    table.add_row(HOSTILE[trick], styled(HOSTILE[trick], "red"))
    for drawn in (HOSTILE[trick], table, timed(HOSTILE[trick]), lines(HOSTILE[trick], HOSTILE[trick])):
        out().print(drawn)
        said = capsys.readouterr().out
        assert acts(said) == []
        assert squeezed(shown(HOSTILE[trick])) in squeezed(said)
        assert not any(line.startswith(FORGED) for line in said.splitlines())


@pytest.mark.parametrize("trick", list(HOSTILE))
def test_what_was_built_past_the_home_is_caught_on_its_way_out(trick: str, capsys: pytest.CaptureFixture[str]) -> None:
    """rich's own Text drops some controls itself; the rest is shown."""
    grid = Table.grid()
    grid.add_row(HOSTILE[trick], Text(HOSTILE[trick]))
    screen = Terminal(force_terminal=True, color_system=None, width=200)
    with screen.status(HOSTILE[trick]):
        screen.print(Text(HOSTILE[trick]), grid, HOSTILE[trick], markup=True)
    said = capsys.readouterr().out
    ours = re.sub(r"\x1b\[(?:\?25[lh]|[12][KA])|\r", "", said)  # the cursor, hidden and moved for what turns
    assert acts(ours) == []
    assert trick != "markup" or squeezed(said).count("[boldred]thief[/]") >= 4


@pytest.mark.parametrize("trick", list(HOSTILE))
def test_a_bar_shows_what_it_is_about(trick: str) -> None:
    paper = io.StringIO()
    with bar(Terminal(file=paper, force_terminal=False, width=400)) as drawn:
        drawn.add_task(HOSTILE[trick], total=1, completed=1)
        drawn.refresh()
        drawn.console.print(drawn.get_renderable())
    assert acts(paper.getvalue()) == []
    assert trick != "markup" or "[bold red]thief[/]" in paper.getvalue()


def test_pages_of_reports_show_it(planted: Planted) -> None:
    for made in (page(planted.result()), markdown(Figures("t", "n", ["a", "b"], [[planted.name] * 2]))):
        assert acts(made) == []
    assert "[link=https://evil.example]" in page(planted.result()) or planted.name == LONG
