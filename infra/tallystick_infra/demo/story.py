"""The story, scene by scene; each says what it saw, and nothing is claimed that was not."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import clickhouse_connect

from tallystick_audit.verify import Report, verify_history
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_schemas.messages import Finding, Lock
from tallystick_stream_jobs.responder.client import read_findings, read_locks

from ..clickhouse.migrate import definitions
from ..deployment import Deployment, read_run
from ..terminal import StyledText, joined, styled
from .actors import Client, Reader, Thief

READERS = ("alice", "bob", "carol", "dave")
VICTIM = "dave"
_WAIT_S = 30.0
Say = Callable[[str | StyledText], None]


@dataclass
class Outcome:
    """What came of it; the keys of `demo --json` are made from this."""

    taken: int = 0
    parts: int = 0
    thief_bytes: int = 0
    denied_text: str = ""
    emit_to_denied_ms: float | None = None
    finding: Finding | None = None
    locks: list[Lock] = field(default_factory=list)
    wrongly_denied: int = 0
    report: Report | None = None
    stolen_credential: str = ""

    @property
    def stopped(self) -> bool:
        """Before the last shard, and nobody else was."""
        mine = {f"credential:{self.stolen_credential}"}
        return (
            bool(self.denied_text) and self.taken < self.parts and not self.wrongly_denied and {lock.subject for lock in self.locks} == mine
        )

    @property
    def proven(self) -> bool:
        return self.report is not None and self.report.exit_code == 0


class Story:
    """Plays on a running deployment whose gateway serves `model` (a repository with many shards)."""

    def __init__(self, deployment: Deployment, model: str, parts: list[str], say: Say) -> None:
        self._deployment, self._model, self._parts, self._say = deployment, model, parts, say
        run = read_run(deployment.path)
        assert run is not None
        self._gateway = run.gateway
        self._tokens: dict[str, str] = {}
        self.outcome = Outcome(parts=len(parts))

    def play(self) -> Outcome:
        """All scenes."""
        self._give_tokens()
        self._wait_for_gateway()
        self._readers()
        self._theft()
        self._look_at_locks()
        self._prove()
        return self.outcome

    def _path(self, part: str) -> str:
        return f"/files/models/{self._model}/{part}"

    def _give_tokens(self) -> None:
        for name in READERS:
            token = new_token()
            record = token_record(token, f"{name}@example.org", "human", roles=("research",))
            append_token(Path(self._deployment.gateway().tokens_file), record)
            self._tokens[name] = token
            if name == VICTIM:
                self.outcome.stolen_credential = record.credential

    def _wait_for_gateway(self) -> None:
        """Until it knows who is locked; before that it denies everybody, rightly."""
        client, deadline = Client(self._gateway, self._tokens["alice"]), time.monotonic() + _WAIT_S
        while client.get(self._path("config.json")).status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        client.close()

    def _readers(self) -> None:
        self._say(joined("Four readers pull shards of ", styled(self._model, "bold"), " through the gateway, as every day."))
        readers = []
        for number, name in enumerate(READERS):
            paths = [self._path(part) for part in self._parts[number * 5 : number * 5 + 5]]
            readers.append(Reader(name, Client(self._gateway, self._tokens[name]), paths, 0.1))
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(_WAIT_S)
        answers = [answer for reader in readers for answer in reader.answers]
        self.outcome.wrongly_denied += sum(answer.status != 200 for answer in answers)
        self._say(f"  {len(answers)} shards, {sum(answer.size for answer in answers) / 1e6:.0f} MB, nobody was stopped.")

    def _theft(self) -> None:
        self._say(f"A thief has {VICTIM}'s token and starts to pull all {len(self._parts)} shards. The model is restricted.")
        thief = Thief(Client(self._gateway, self._tokens[VICTIM]), [self._path(part) for part in self._parts])
        thief.start()
        thief.join(_WAIT_S * 4)
        outcome = self.outcome
        outcome.taken, outcome.thief_bytes = len(thief.taken), thief.client.bytes_taken
        if thief.denied is None:
            self._say(styled(f"  Not stopped: {outcome.taken} of {outcome.parts} shards are gone.", "red"))
            return
        outcome.denied_text = thief.denied.text
        outcome.finding = self._finding_of(thief)
        if outcome.finding is not None:
            outcome.emit_to_denied_ms = round((thief.denied.at - _seconds(outcome.finding.time)) * 1000, 1)
            self._say(f"  finding  {outcome.finding.detector} {outcome.finding.title}: {outcome.finding.text}")
        if thief.cut is not None:
            self._say(f"  cut      the download under way ended after {thief.cut.size / 1e3:.0f} kB, with the lock's arrival.")
        self._say(f"  first {thief.denied.status} after {outcome.taken} of {outcome.parts} shards ({outcome.thief_bytes / 1e6:.0f} MB).")
        if outcome.emit_to_denied_ms is not None:
            took = styled(f"{outcome.emit_to_denied_ms:.0f} ms", "bold")
            self._say(joined("  From the request that crossed the line to the first denial: ", took, "."))

    def _finding_of(self, thief: Thief) -> Finding | None:
        """The finding that locked: the one that the lock names."""
        assert thief.denied is not None
        locks = [lock for lock in read_locks(self._deployment.kafka(), self._deployment.log()) if lock.state == "locked"]
        ids = {lock.finding for lock in locks}
        return next((finding for finding in read_findings(self._deployment.kafka(), self._deployment.log()) if finding.id in ids), None)

    def _look_at_locks(self) -> None:
        """Who is locked; and the others still get in."""
        self.outcome.locks = [lock for lock in read_locks(self._deployment.kafka(), self._deployment.log()) if lock.state == "locked"]
        for lock in self.outcome.locks:
            self._say(f"  lock     {lock.subject} until {(lock.until or '')[11:19]} UTC, command {lock.command}")
        others = [name for name in READERS if name != VICTIM]
        for name in others:
            client = Client(self._gateway, self._tokens[name])
            self.outcome.wrongly_denied += client.get(self._path(self._parts[0])).status != 200
            client.close()
        self._say(
            f"  {', '.join(others)} read on, undisturbed."
            if not self.outcome.wrongly_denied
            else styled("  Somebody else was denied as well.", "red")
        )

    def _prove(self) -> None:
        self._say("An auditor recomputes the whole history: every hash, signature and verdict.")
        self._wait_for_seal()
        report = self.outcome.report = verify_history(
            self._deployment.clickhouse("auditor"), self._deployment.log(), time.time(), definitions=definitions()
        )
        verdicts = f"integrity {report.integrity.value}, completeness {report.completeness.value}, freshness {report.freshness.value}"
        self._say(joined(f"  {report.entries} entries, {report.events} events: ", styled(verdicts, "bold"), "."))
        for failure in report.failures[:5]:
            self._say(styled(f"  step {failure.step}, shard {failure.shard}, index {failure.index}: {failure.reason}", "red"))

    def _wait_for_seal(self) -> None:
        """Until checkpoints cover what the ledger holds now."""
        client = clickhouse_connect.get_client(**self._deployment.clickhouse().client_kwargs())
        tips = {row[0]: row[1] for row in client.query("SELECT shard, max(index) FROM ledger_entries GROUP BY shard").result_rows}
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            sizes = {row[0]: row[1] for row in client.query("SELECT origin, max(size) FROM checkpoints GROUP BY origin").result_rows}
            if all(sizes.get(self._deployment.log().origin(shard), 0) > tip for shard, tip in tips.items()):
                return
            time.sleep(0.2)


def _seconds(wire: str) -> float:
    return datetime.fromisoformat(wire).timestamp()
