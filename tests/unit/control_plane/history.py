"""What the history is made of and kept in: topics events and checkpoints, the store's tables, snapshots, and files of parts."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from tests.support.history import History, HistoryBuilder, make_event, make_history, private_key, public_bytes
from tests.support.history_source import MemorySource
from tests.support.signing import SNAPSHOTS, Speaker, key_of
from tests.support.world import Faults, MemoryLedger, World
from tests.unit.notary.test_core import PARAMETERS, WHOLE, read

from tallystick_audit.verify.history import verify_source
from tallystick_producers.errors import KeyFileError
from tallystick_producers.gateway.token_file import TokenFile, read_tokens
from tallystick_producers.gateway.tokens import add_token, remove_tokens
from tallystick_producers.keyfile import load_key
from tallystick_producers.spool import Spool
from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.envelope import Number, Signer
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.records import frame_record, parse_record
from tallystick_schemas.segments import SegmentSigner, SignedSegment, new_run
from tallystick_schemas.state import copy_state, encode_state
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.errors import LedgerDisagrees, SealerBehind, SealerStateBroken, SealRefused, StoreForgot
from tallystick_stream_jobs.notary.restore import restore
from tallystick_stream_jobs.notary.snapshots import PLACE
from tallystick_stream_jobs.sealer.core import first_state

from .cells import CLOSED, REFUSED, TOLD, Attack, Outcome, unless
from .forgers import pretender

QUIET = {Verdict.ACCEPTED, Verdict.SEEN}
FOLDED = restore(WHOLE, PARAMETERS, SNAPSHOTS.open).state
"""What all entries of the notary's vector give."""


def segments(agent: str = "gw", key: str = "gw", count: int = 3, run: int = 1) -> list[SignedSegment]:
    """Of one run of an agent, an event each."""
    signer, now = SegmentSigner(agent, key_of(key), new_run(run, b"8bytes..")), "2026-11-01T00:00:00.000000Z"
    return [signer.sign([make_event(n)], now) for n in range(count)]


def verdicts(records: list[bytes]) -> list[Verdict]:
    """What the fold says of records behind the enrolment of gw."""
    builder = HistoryBuilder(1)
    builder.enrol("gw", 0, key_of("gw"))
    return [builder.record(0, one).entry.verdict for one in records]


def judged(records: list[bytes], wanted: int) -> Outcome:
    """Refused: the true segments are in and nothing else; told: what happened stands in the history with its verdict."""
    said = verdicts(records)
    if any(one not in QUIET and one.accepted for one in said):
        return TOLD
    return unless(sum(one.accepted for one in said) != wanted)


def _forged_segments(next_one: bytes) -> list[bytes]:
    """By a key that is nobody's under the agent's name and under its own, and the run's next one with a signature that does not fit."""
    read = parse_record(next_one)
    unsigned = frame_record(read.kind, read.header_raw, bytes(len(read.sig)), read.body)
    return [segments(key="mallory", run=2)[0].record, segments("mallory", "mallory")[0].record, unsigned]


def events(attack: Attack, _: Path) -> Outcome:
    """Three segments of one run."""
    one, two, three, four = (part.record for part in segments(count=4))
    cases: dict[Attack, tuple[list[bytes], int]] = {
        "forge": ([one, two, three, *_forged_segments(four), b"x"], 3),
        "replay": ([one, two, three, one], 3),
        "roll back": ([one, two, three, one, two], 3),
        "reorder": ([one, three, two], 3),
        "delay": ([one, two], 3),
        "drop": ([one, three], 2),
        "delete": ([one, two, three, b""], 3),
        "another deployment's": ([one, two, three, segments("other", "other")[0].record], 3),
    }
    if attack == "another deployment's":
        again = HistoryBuilder(1, "other")
        again.enrol("gw", 0, key_of("gw"))
        assert again.record(0, one).entry.verdict.accepted, "a key that is enrolled in both is one agent to both"
    return judged(*cases[attack])


def spool(attack: Attack, home: Path) -> Outcome:
    """Three segments wait in an agent's spool, and its file is changed."""
    kept = Spool(home, durable=False)
    made = segments()
    run = parse_record(made[0].record).header
    assert isinstance(run, SegmentHeader)
    early = attack in ("roll back", "delay")
    kept.put(run.run, made[:2] if early else made, {})
    other = segments("other", "other")[0].record if attack == "another deployment's" else segments(key="mallory", run=2)[0].record
    sql = {
        "forge": f"INSERT INTO segments (run, n, count, size, record) VALUES ('{'f' * 32}', 0, 1, 1, x'{other.hex()}')",
        "replay": f"INSERT INTO segments (run, n, count, size, record) SELECT '{'f' * 32}', n, count, size, record FROM segments WHERE n = 0",
        "reorder": "UPDATE segments SET id = 10 - id",
        "drop": "DELETE FROM segments WHERE n = 1",
        "delete": "DELETE FROM segments",
        "another deployment's": f"INSERT INTO segments (run, n, count, size, record) VALUES ('{'e' * 32}', 0, 1, 1, x'{other.hex()}')",
    }.get(attack)
    if sql:
        db = sqlite3.connect(kept.path)
        db.execute(sql)
        db.commit()
        db.close()
    sent = kept.unconfirmed()
    kept.close()
    return judged(sent, 3)


def checkpoints_topic(attack: Attack, home: Path) -> Outcome:
    """An agent that vouches for the newest root checkpoint that it saw."""
    world = World(home, Faults())
    try:
        world.seal()
        world.seal()
        origin = world.log.root_origin
        notes = sorted((size, note) for at, size, _, note in world.seals.checkpoints if at == origin)
        sending, newest = world.sending, notes[-1][0]
        bad = sign_checkpoint(Checkpoint(origin, 99, bytes(32)), private_key("mallory"))
        elsewhere = sign_checkpoint(Checkpoint("other/root", 99, bytes(32)), private_key("sealer"))
        given = {
            "forge": [notes[-1][1], bad],
            "replay": [notes[0][1], notes[-1][1], notes[0][1]],
            "roll back": [notes[-1][1], notes[0][1]],
            "reorder": [notes[-1][1], notes[0][1]],
            "delay": [notes[0][1]],
            "drop": [notes[0][1]],
            "delete": [notes[-1][1], b""],
            "another deployment's": [notes[-1][1], elsewhere],
        }[attack]
        for note in given:
            sending.take_checkpoint(origin, note)
        assert sending.seen is not None
        return unless(sending.seen.size != newest)
    finally:
        world.close()


def verified(history: History) -> bool:
    return verify_source(MemorySource(history), history.log, history.now).integrity == "pass"


def _bitten(row: tuple[Any, ...]) -> tuple[Any, ...]:
    at = next(n for n, value in enumerate(row) if isinstance(value, bytes) and value)
    raw = row[at]
    return (*row[:at], bytes([raw[0] ^ 1]) + raw[1:], *row[at + 1 :])


def _other_place(row: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row's numbers with the other's bytes."""
    return tuple(theirs if isinstance(theirs, bytes) else mine for mine, theirs in zip(row, other, strict=True))


def table(name: str) -> Callable[[Attack, Path], Outcome]:
    """One of the history's tables under an auditor's eyes."""

    def run(attack: Attack, _: Path) -> Outcome:
        history = make_history()
        if name == "rejected":
            history = _with_rejected()
        rows: list[Any] = getattr(history, name)
        # The verifier needs the newest root checkpoint and those that leaves name; older ones of the root log say nothing more.
        at = max(n for n, row in enumerate(rows) if name != "checkpoints" or row[1] == max(one[1] for one in rows if one[0] == row[0]))
        other = getattr(make_history(deployment="other"), name) or [(0, 2, b"another record")]
        changes: dict[Attack, list[Any]] = {
            "forge": [*rows[:at], _bitten(rows[at]), *rows[at + 1 :]],
            "replay": [*rows, rows[at]],
            "roll back": rows[: len(rows) // 2],
            "reorder": [*rows[:-2], _other_place(rows[-2], rows[-1]), _other_place(rows[-1], rows[-2])],
            "delay": [*rows[:at], *rows[at + 1 :]],
            "drop": [*rows[:at], *rows[at + 1 :]],
            "delete": [],
            "another deployment's": [*rows[:at], _other_place(rows[at], other[0]), *rows[at + 1 :]],
        }
        before = verified(history)
        rows[:] = changes[attack]
        assert before, "the true history passes"
        if verified(history):
            return unless(attack != "replay")
        return TOLD

    return run


def _with_rejected() -> History:
    builder = HistoryBuilder(1)
    builder.record(0, b"garbage")
    builder.record(0, b"more garbage")
    builder.seal()
    return builder.history


def whole_store(attack: Attack, _: Path) -> Outcome:
    """Every table together, as one who holds the store alone has it: an older copy, or another deployment's."""
    history = make_history(rounds=1, segments=2) if attack == "roll back" else make_history(deployment="other")
    history.log = make_history().log
    return TOLD if not verified(history) else unless(True)


def snapshots(attack: Attack, _: Path) -> Outcome:
    """A notary that starts: the fold must be the one that all entries give."""
    ledger, _batches = read([3, 9, 15])
    known = ledger.snapshots[0]
    early = read([3])[0].snapshots.get(0, known)
    foreign = Signer("other", "notary", key_of("notary"))
    rows: dict[Attack, list[tuple[int, bytes] | None]] = {
        "forge": [_stolen(known, who.signer) for who in (Speaker("cli"), Speaker("mallory"), pretender("notary"))],
        "replay": [known],
        "roll back": [early],
        "reorder": [early],
        "delay": [None],
        "drop": [None],
        "delete": [None],
        "another deployment's": [_stolen(known, foreign)],
    }
    found = [_restored(ledger, row) for row in rows[attack]]
    return next((one for one in found if one is not REFUSED), REFUSED)


def _stolen(known: tuple[int, bytes], signer: Signer) -> tuple[int, bytes]:
    """The state with a stranger's keys under the ids of known ones: the digest that seals carry fits it, since it names ids alone."""
    index, state = known[0], copy_state(SNAPSHOTS.open(0, known[1]))
    for agent in state.agents.values():
        for key in agent.keys.values():
            key.public = public_bytes(private_key("mallory"))
    return index, signer.sign(PLACE, b"0", Number(0, index), encode_state(state))


def _restored(ledger: MemoryLedger, row: tuple[int, bytes] | None) -> Outcome:
    ledger.snapshots = {} if row is None else {0: row}
    try:
        return unless(restore(ledger, PARAMETERS, SNAPSHOTS.open).state != FOLDED)
    except LedgerDisagrees:
        return TOLD


def sealer_state(attack: Attack, home: Path) -> Outcome:
    """The sealer's file between two of its starts; it must not sign another history than it signed."""
    world = World(home, Faults())
    try:
        world.seal()
        path = home / "sealer" / "state.json"
        shutil.copy(path, home / "old")
        for _ in range(2 if attack == "roll back" else 1):
            world.seal()
        return _sealer_starts(world, path, attack)
    finally:
        world.close()


def _sealer_starts(world: World, path: Path, attack: Attack) -> Outcome:
    raw, old = path.read_bytes(), (path.parent.parent / "old").read_bytes()
    if attack == "delete":
        path.unlink()
    else:
        changed: dict[Attack, bytes] = {
            "forge": _moved(raw),
            "replay": raw,
            "roll back": old,
            "reorder": old,
            "delay": old,
            "drop": raw[:50],
            "another deployment's": msgspec.json.encode(first_state(replace(world.log, deployment="other"))),
        }
        path.write_bytes(changed[attack])
    before = {(origin, size): root for origin, size, root, _ in world.seals.checkpoints}
    try:
        world.start_sealer()
        world.seal()
    except (SealerBehind, SealerStateBroken, SealRefused, StoreForgot):
        return TOLD
    after = list(world.seals.checkpoints)
    forked = any(before.get((origin, size), root) != root for origin, size, root, _ in after)
    return unless(forked and verified(world.history()), TOLD if forked else REFUSED)


def _moved(raw: bytes) -> bytes:
    """A state that says another root was signed."""
    state = json.loads(raw)
    for shard in state["shards"]:
        for name, value in shard.items():
            if isinstance(value, str) and value:
                shard[name] = value[:-4] + "AAA="
            if isinstance(value, list) and value:
                shard[name] = ["A" * 43 + "=" for _ in value]
    return json.dumps(state).encode()


def tokens(attack: Attack, home: Path) -> Outcome:
    """The file of tokens; ann's was removed, bob's and carol's stand. A gateway has read it."""
    path = home / "tokens.jsonl"
    anns = add_token(path, "ann", "human")
    old = path.read_bytes()
    ann = read_tokens(path).find(anns)
    assert ann is not None
    remove_tokens(path, ann.credential)
    bobs = add_token(path, "bob", "human")
    add_token(path, "carol", "human")
    now, gateway = path.read_bytes(), TokenFile(path)
    thief = add_token(home / "other.jsonl", "eve", "human")
    left: dict[Attack, bytes] = {
        "forge": now + (home / "other.jsonl").read_bytes(),
        "replay": now + now,
        "roll back": old,
        "reorder": b"".join(reversed(now.splitlines(keepends=True))),
        "drop": b"",
        "another deployment's": now,
    }
    if attack == "delete":
        path.unlink()
    else:
        path.write_bytes(left[attack])
    book = gateway.book(float("inf"))
    if book.find(thief) is not None or book.find(anns) is not None:
        return unless(True)
    if book.find(bobs) is None:
        return CLOSED
    return TOLD if book.faults else REFUSED


def key_file(attack: Attack, home: Path) -> Outcome:
    """An agent's private key on disk: another one lies there, or none."""
    if attack == "forge":
        return judged([part.record for part in [*segments(), *segments(key="mallory", run=2)]], 3)
    try:
        load_key(home / "agent.key")
    except KeyFileError:
        return TOLD
    return unless(True)
