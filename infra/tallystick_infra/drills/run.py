"""Runs drills: sets the stage, plays, watches the record, strikes the stage, verifies the history, keeps the result."""

import http.client
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tallystick_schemas.words import counted

from ..deployment import Deployment
from ..errors import DrillUnusable
from ..knocking import knock
from .grade import Grades, grade
from .history import verify
from .leftovers import Cleared, alone, clear
from .narrator import Narrator, Say
from .own_rules import bring
from .play import Play
from .policy_file import put_in
from .receiver import Receiver, receiver_port
from .record import Record
from .results import History, Result, keep
from .scenario import Drill
from .seen import Seen
from .sights import SeeLock
from .stage import Stage
from .timeline import timeline

_LOOK_S: Final = 0.25
_GRACE_S: Final = 3.0
"""Reading lags behind what is read; what came in time is judged by the record's own times."""
_RECEIPTS_S: Final = 30.0


@dataclass
class Played:
    """One drill after its play, before its verdict."""

    drill: Drill
    run: str
    began: float
    ended: float
    grades: Grades
    seen: Seen
    errors: list[str]
    told: list[str] = field(default_factory=list)


class Runner:
    """Plays drills on one deployment, `side_by_side` at a time: their principals, agents and artifacts are disjoint."""

    def __init__(self, deployment: Deployment, say: Say, side_by_side: int = 1) -> None:
        self._deployment, self._say, self._side_by_side = deployment, say, side_by_side
        self._stopping = threading.Event()

    def run(self, drills: Sequence[Drill]) -> list[Result]:
        """The results, in the order of the drills; each is kept. DrillUnusable before anything was made. Whatever happens, what was made is removed."""
        check_usable(self._deployment)
        for drill in drills:
            receiver_port(self._deployment, drill.scenario)
        with alone(self._deployment) as folder:
            if (left := clear(self._deployment)).anything:
                self._say(f"Removed what an earlier drill had left behind: {left.words()}")
            if (wanted := suspensions(drills)) > (limit := self._deployment.jobs().breaker_limit):
                self._say(
                    f"These drills need {wanted} automatic suspensions, and [jobs] breaker_limit lets {limit} through in ten minutes; later ones fail."
                )
            runs = {secrets.token_hex(4): drill for drill in drills}
            try:
                if put_in(self._deployment, folder, runs):
                    self._say("detection.yaml has the drills' grants and protected principals until they are over.")
                if brought := bring(self._deployment, drills):
                    self._say(f"The detectors have {brought} rules of the drills' until they are over.")
                played = self._play_all(runs)
            finally:
                cleared = clear(self._deployment, set(runs))
            self._say(f"The stage is struck: {cleared.words()}")
            history = self._verify()
            results = [_result(self._deployment, one, cleared, history) for one in played]
            for result in results:
                keep(folder, result)
            return results

    def _play_all(self, runs: dict[str, Drill]) -> list[Played]:
        with (
            Record(self._deployment.clickhouse(), self._deployment.kafka(), self._deployment.log()) as record,
            ThreadPoolExecutor(self._side_by_side) as pool,
        ):
            waiting = [pool.submit(self._play, drill, run, record) for run, drill in runs.items()]
            try:
                return [one.result() for one in waiting]
            except BaseException:
                self._stopping.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _play(self, drill: Drill, run: str, record: Record) -> Played:
        told: list[str] = []
        narrator = Narrator(drill, run, self._say, told, alone=self._side_by_side == 1)
        narrator.opens()
        stage, port = Stage(self._deployment, drill, run), receiver_port(self._deployment, drill.scenario)
        receiver = Receiver(port) if port is not None else None
        try:
            stage.set()
            return self._watch(stage, Play(stage, narrator.tell, receiver), record, narrator)
        finally:
            stage.leave()
            if receiver is not None:
                receiver.close()

    def _watch(self, stage: Stage, play: Play, record: Record, narrator: Narrator) -> Played:
        """Until everything expected was seen or is late, the play is over, and what must not come had its time to come."""
        drill, run, began = narrator.drill, stage.run, time.time()
        thread = threading.Thread(target=play.run, name=f"drill-{run}", daemon=True)
        thread.start()
        ended: float | None = None
        while not self._stopping.wait(_LOOK_S):
            grades = grade(drill.scenario, run, record.of(run), began)
            narrator.sees(grades)
            if ended is None and not thread.is_alive():
                ended = _all_in_the_history(stage, play)
            late = grades.began + max((sight.within_s for sight in drill.scenario.expect), default=0.0) + _GRACE_S
            if ended is not None and time.time() > ended + drill.scenario.settle_s and (grades.all_seen or time.time() > late):
                break
        play.stop()
        thread.join()
        seen = record.of(run)
        errors = play.errors + ([f"the record could not be read: {record.trouble}"] if record.trouble else [])
        return Played(drill, run, began, time.time(), grade(drill.scenario, run, seen, began), seen, errors, narrator.told)

    def _verify(self) -> History:
        self._say("An auditor recomputes the whole history: every hash, signature and verdict.")
        history = verify(self._deployment)
        verdicts = f"integrity {history.integrity}, completeness {history.completeness}, freshness {history.freshness}"
        self._say(f"  {counted(history.entries, 'entry', 'entries')}, {counted(history.events, 'event')}: {verdicts}.")
        for failure in history.failures[:5]:
            self._say(f"  {failure}")
        return history


def suspensions(drills: Sequence[Drill]) -> int:
    """How many automatic suspensions the drills expect."""
    return sum(isinstance(sight, SeeLock) and sight.level == "suspend" for drill in drills for sight in drill.scenario.expect)


def _all_in_the_history(stage: Stage, play: Play) -> float:
    """When the history had confirmed what the drill's agent recorded."""
    try:
        if stage.recorder is not None:
            stage.recorder.wait_receipts(_RECEIPTS_S)
    except Exception as error:  # noqa: BLE001 - told in the result
        play.errors.append(f"the history did not confirm what the drill recorded: {error}")
    return time.time()


def _result(deployment: Deployment, one: Played, cleared: Cleared, history: History) -> Result:
    scenario = one.drill.scenario
    return Result(
        run=one.run,
        scenario=one.drill.name,
        title=scenario.title,
        story=" ".join(scenario.story.split()),
        techniques=scenario.techniques,
        seed=scenario.seed,
        began=one.began,
        ended=one.ended,
        deployment=deployment.log().deployment,
        grades=one.grades,
        history=history,
        timeline=timeline(scenario, one.run, one.seen),
        told=one.told,
        errors=one.errors,
        cleaned=cleared.words(),
    )


def check_usable(deployment: Deployment) -> None:
    """DrillUnusable when a door of this deployment does not open."""
    from ..deployment import read_run

    run, settings = read_run(deployment.path), deployment.gateway()
    address = run.gateway if run else f"http://{settings.host}:{settings.port}"
    doors: dict[str, Callable[[], object]] = {
        f"the gateway at {address}": lambda: _healthy(address),
        f"Kafka at {deployment.kafka().bootstrap}": lambda: _kafka(deployment),
        f"ClickHouse at {deployment.clickhouse().host}:{deployment.clickhouse().port}": lambda: _clickhouse(deployment),
    }
    for door, look in doors.items():
        try:
            look()
        except Exception as error:
            raise DrillUnusable(f"{door} does not answer ({type(error).__name__}: {error}); `tallystick up` starts everything") from error


def _healthy(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=3)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    finally:
        connection.close()


def _kafka(deployment: Deployment) -> None:
    from tallystick_producers.consumer import Consumer

    knock(deployment, "Kafka")
    Consumer(**deployment.kafka().client_kwargs(), group_id=None).close()


def _clickhouse(deployment: Deployment) -> None:
    import clickhouse_connect

    knock(deployment, "ClickHouse")
    clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs()).close()
