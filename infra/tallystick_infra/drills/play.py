"""The steps, done: each at its moment, in a thread of its own, by real clients and real agents. Says what it did; what it led to is the record's to say."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from tallystick_producers import Resource, Source, Usage, Why
from tallystick_schemas.signing import wire_time
from tallystick_schemas.words import counted

from . import agents
from .client import Answer, Client
from .receiver import Receiver
from .stage import Stage, part_names
from .steps import Browse, Download, Forge, Fork, Mint, Outage, Record, Silence, Step, Swap

Say = Callable[[str], None]
_REFUSED: Final = (401, 403, 503)
_STUBBORN_S: Final = 0.3
_LATER: Final = 4
_LATER_S: Final = 1.0


class Play:
    """One run's steps. `stop` ends it early."""

    def __init__(self, stage: Stage, say: Say, receiver: Receiver | None = None) -> None:
        self._stage, self._say, self._receiver = stage, say, receiver
        self._stopping = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        """All steps, to the end of the last one. What a step stumbles over is in `errors`."""
        threads = [
            threading.Thread(target=self._step, args=(step,), name=f"drill-step-{n}", daemon=True) for n, step in enumerate(self._steps)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        self._stopping.set()

    @property
    def _steps(self) -> list[Step]:
        return self._stage.scenario.steps

    def _step(self, step: Step) -> None:
        if self._stopping.wait(step.at):
            return
        try:
            _DO[type(step)](self, step)
        except Exception as error:  # noqa: BLE001 - a step that fails is told in the result; it must not look like a quiet success
            self.errors.append(
                f"{type(step).__struct_config__.tag} of {getattr(step, 'who', 'the receiver')}: {type(error).__name__}: {error}"
            )

    def download(self, step: Download) -> None:
        material = self._stage.scenario.resources[step.what]
        parts = [*step.extra, *part_names(material)[step.first :][: step.parts]]
        client = Client(self._stage.gateway, self._stage.token(step.who, step.credential), step.rate_mb_s * 1e6)
        try:
            answers = self._fetch(client, step, parts)
        finally:
            client.close()
        whole = [answer for answer in answers if answer.status < 300 and not answer.cut]
        last = answers[-1] if answers else None
        self._say(
            f"{step.who} took {len(whole)} of {len(parts)} parts of {step.what} ({sum(a.size for a in answers if a.status < 300) / 1e6:.1f} MB)"
            f"{_ending(answers, last)}."
        )

    def _fetch(self, client: Client, step: Download, parts: list[str]) -> list[Answer]:
        answers: list[Answer] = []
        for part in parts:
            answers.append(self._patient(client, self._stage.path(step.what, part)))
            if answers[-1].status in _REFUSED:
                if not step.stubborn:
                    break
                self._stopping.wait(_STUBBORN_S)
            if self._stopping.wait(step.pause_s):
                break
        return answers

    def _patient(self, client: Client, path: str) -> Answer:
        """As every client does: what is answered "try later" is tried later, a few times."""
        for _ in range(_LATER):
            answer = client.get(path)
            if answer.status != 503 or self._stopping.wait(_LATER_S):
                return answer
        return client.get(path)

    def browse(self, step: Browse) -> None:
        client = Client(self._stage.gateway, self._stage.token(step.who))
        try:
            statuses = []
            for what in [step.what, *step.also] * step.times:
                statuses.append(client.get(self._stage.path(what)).status)
                if self._stopping.wait(step.pause_s):
                    break
        finally:
            client.close()
        self._say(f"{step.who} listed repositories {len(statuses)} times, {sum(status == 200 for status in statuses)} with an answer.")

    def record(self, step: Record) -> None:
        recorder, stage = self._stage.recorder, self._stage
        assert recorder is not None
        material, actor = stage.scenario.resources[step.what], stage.actor(step.who, step.credential)
        names = part_names(material)
        purpose = step.purpose or stage.scenario.principals[step.who].purpose
        began = time.time() - step.spread_s
        for number in range(step.count):
            part = names[(step.offset + number % step.parts) % len(names)] if step.parts and names else None
            at = min(began + step.spread_s * number / step.count, time.time()) if step.spread_s else time.time()
            recorder.record(
                step.action,
                actor=actor,
                resource=stage.resource(step.what, part, step.digest),
                outcome=step.outcome,
                why=Why(purpose=purpose) if purpose else None,
                usage=_usage(step, number),
                source=Source(ip="192.0.2.77", user_agent="drill/1"),  # RFC 5737: nobody's address
                attrs={**({"parts": str(material.parts)} if part else {}), **step.attrs, **stage.attrs()},
                time=wire_time(at),
            )
            if step.pause_s and self._stopping.wait(step.pause_s):
                break
        self._say(f"{step.who}: {counted(step.count, 'event')} {step.action} on {step.what} over {step.spread_s:.0f} s.")

    def mint(self, step: Mint) -> None:
        credential = self._stage.mint(step.who)
        recorder = self._stage.recorder
        assert recorder is not None
        recorder.record(
            "credential.issue", actor=self._stage.actor(step.who), resource=Resource("credential", credential), attrs=self._stage.attrs()
        )
        self._say(f"{step.who} has a new credential, {credential}.")

    def forge(self, step: Forge) -> None:
        agents.forge(self._stage, step.who, step.count)
        self._say(f"Somebody without the key sent {counted(step.count, 'segment')} in the name of agent {step.who}.")

    def fork(self, step: Fork) -> None:
        agents.fork(self._stage, step.who)
        self._say(f"Two holders of one key signed segment 0 of agent {step.who}, with other events each.")

    def silence(self, step: Silence) -> None:
        agents.fall_silent(self._stage, step.who, self._stopping)
        self._say(f"Agent {step.who} was killed and says nothing any more.")

    def swap(self, step: Swap) -> None:
        digest = agents.swap_files(self._stage, step.what)
        recorder = self._stage.recorder
        assert recorder is not None
        recorder.record(
            "artifact.upload",
            actor=self._stage.actor(step.who),
            resource=self._stage.resource(step.what, digest=digest),
            usage=Usage(objects=self._stage.scenario.resources[step.what].parts),
            attrs=self._stage.attrs(),
        )
        self._say(f"{step.who} put other files in the place of {step.what}; its version is said to be the same.")

    def outage(self, step: Outage) -> None:
        assert self._receiver is not None
        self._receiver.fail_for(step.seconds)
        self._say(f"The receiver answers 503 for {step.seconds:.0f} s.")


_DO: Final[dict[type[Step], Callable[[Play, Any], None]]] = {
    Download: Play.download,
    Browse: Play.browse,
    Record: Play.record,
    Mint: Play.mint,
    Forge: Play.forge,
    Fork: Play.fork,
    Silence: Play.silence,
    Swap: Play.swap,
    Outage: Play.outage,
}


def _usage(step: Record, number: int) -> Usage:
    prompt = hashlib.sha256(f"prompt {number % step.prompts}".encode()).hexdigest() if step.prompts else None
    return Usage(bytes=step.bytes or None, objects=1, tokens_out=step.tokens_out or None, prompt_hash=prompt)


def _ending(answers: list[Answer], last: Answer | None) -> str:
    if any(answer.cut for answer in answers):
        return ", the last one was cut in flight, and the next request was answered " + str(last.status if last else "–")
    return f", then was answered {last.status}" if last is not None and last.status >= 400 else ""
