"""Who may say what: events that their agent may not vouch for count beside, lead to findings that say so, and take nothing from those that do not."""

import random
from collections.abc import Sequence

import pytest
from tests.support.detecting import findings, of, read, reborn
from tests.support.detecting import pull as timed
from tests.support.streams import OFFSETS, beat, event, messages, notice, pull, run

from tallystick_schemas.messages import BATCH, Finding, VerifiedBatch, VerifiedSegment, encode_batch, parse_batch
from tallystick_schemas.roles import Scope
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.detectors.doubts import _FORGET_DAYS, _MOST_AGENTS, agents_of, doubted_of, noted
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.detectors.reading import decode_event
from tallystick_stream_jobs.detectors.vouching import Warrant

GATEWAY = Scope(actions=["artifact.*", "access.check"])
COLLECTOR = Scope(actions=["artifact.read"], principals=["svc-*"], resources=["bucket/*"])
SCOPES = {"gateway-1": GATEWAY, "collector": COLLECTOR, "anything": Scope(), "nothing": Scope(actions=[])}


def scope_of(agent: str, key: str) -> Scope | None:
    assert key == f"key of {agent}"
    return SCOPES.get(agent)


def made(*events: tuple[str, float, bytes], first: int = 0, each: int = 1) -> list[VerifiedBatch]:
    """(agent, seconds, event) as batches of `each` segments."""
    segments = [
        VerifiedSegment(first + n, agent, "0" * 32, 0, int((1_795_406_400.0 + at) * 1000), [(0, raw)], OFFSETS + n, f"key of {agent}")
        for n, (agent, at, raw) in enumerate(events)
    ]
    return [parse_batch(encode_batch(VerifiedBatch(BATCH, 0, segments[at : at + each], []))) for at in range(0, len(segments), each)]


def told(*events: tuple[str, float, bytes], engine: Engine | None = None) -> list[Finding]:
    return findings(made(*events), engine or Engine(scope_of=scope_of))


def decoy(agent: str, at: float = 0.0, **fields: object) -> tuple[str, float, bytes]:
    return agent, at, read(at, "secret", canary=True, **fields)  # type: ignore[arg-type]


def by(agent: str, events: Sequence[tuple[float, bytes]]) -> list[tuple[str, float, bytes]]:
    return [(agent, at, raw) for at, raw in events]


@pytest.mark.parametrize(
    ("agent", "unvouched"),
    [("gateway-1", []), ("anything", []), ("collector", ["collector"]), ("nothing", ["nothing"]), ("stranger", ["stranger"])],
)
def test_a_decoy_in_another_persons_name_has_effect_only_from_who_may_say_so(agent: str, unvouched: list[str]) -> None:
    (one,) = of(told(decoy(agent)), "D13")
    assert (one.unvouched, one.act) == (unvouched, "suspend")


def test_an_agent_may_vouch_within_its_scope() -> None:
    warrant = Warrant("collector", COLLECTOR)
    fits = read(0.0, "p", "svc-etl", action="artifact.read").replace(b'"kind":"model"', b'"kind":"bucket"')
    assert warrant.covers(decode_event(fits))
    for old, new in ((b"svc-etl", b"dave"), (b"artifact.read", b"artifact.copy"), (b'"kind":"bucket"', b'"kind":"model"')):
        assert not warrant.covers(decode_event(fits.replace(old, new)))
        assert warrant.covers(decode_event(fits)), "what was asked before is not confused with it"


@pytest.mark.parametrize("scope", [Scope(actions=[]), None, Scope(actions=["artifact.*"])])
def test_what_an_agent_says_of_its_own_life_needs_no_scope_and_counts_for_no_other(scope: Scope | None) -> None:
    raw = read(0.0, "p", "gateway-1", action="agent.heartbeat")
    assert Warrant("gateway-1", scope).covers(decode_event(raw))
    assert not Warrant("gateway-2", scope).covers(decode_event(raw))


def test_nobody_is_locked_on_words_that_may_not_be_given_though_the_last_may() -> None:
    """Eight tenths of what crosses the line are the collector's; the gateway's are too few."""
    crossing = timed(24, parts=20, model="acme/atlas-7b")
    events = by("stranger", crossing[:16]) + by("gateway-1", crossing[16:])
    (one, *_) = [one for one in told(*events) if one.act == "suspend" and one.detector == "D03"]
    assert one.unvouched == ["stranger"]
    whole = [one for one in told(*by("gateway-1", crossing)) if one.detector == "D03"]
    assert {tuple(one.unvouched) for one in whole} == {()}


def test_nobody_takes_a_finding_back_by_adding_words() -> None:
    crossing = by("gateway-1", timed(24, parts=20))
    added = by("stranger", timed(3, start=0.5, first=900))
    events = sorted([*crossing, *added], key=lambda one: one[1])
    alone = [(one.id, one.act) for one in told(*crossing) if one.detector == "D03"]
    numbered = {at: n for n, (_, at, _) in enumerate(events)}
    beside = [(one.act, one.unvouched, one.evidence[-1][1]) for one in told(*events) if one.detector == "D03" and not one.unvouched]
    assert len(beside) == len(alone) > 0
    assert {place for _, _, place in beside} <= {numbered[at] for _, at, _ in crossing}, "they rest on the gateway's words"


def test_the_same_crossing_is_told_once() -> None:
    events = [
        decoy("stranger", principal="eve"),
        decoy("gateway-1", 1.0),
        decoy("stranger", 2.0, credential="cred-2"),
        decoy("gateway-1", 4000.0),
    ]
    found = of(told(*events), "D13")
    assert len({one.id for one in found}) == len(found)
    assert [one.unvouched for one in found if one.principal != "eve"] == [[], ["stranger"], []]


def test_peers_are_made_of_what_may_be_said() -> None:
    crowd = [(at + who / 100, read(at, f"part-{n}", f"peer-{who}")) for who in range(30) for n, (at, _) in enumerate(timed(40))]
    engine, truth = Engine(scope_of=scope_of), Engine(scope_of=scope_of)
    told(*by("stranger", crowd), engine=engine)
    told(*by("gateway-1", crowd), engine=truth)
    day = int((1_795_406_400.0 + 86_400) // 86_400)
    assert sum(truth._peers.counts("D01", day).values()) == 30
    assert engine._peers.counts("D01", day) == {}


@pytest.mark.parametrize("seed", range(3))
def test_findings_do_not_depend_on_cuts_or_restarts(seed: int) -> None:
    chance = random.Random(seed)
    events = []
    for n in range(400):
        agent, who = chance.choice(["gateway-1", "gateway-1", "collector", "stranger", "anything"]), chance.randrange(3)
        events.append((agent, n * 2.0, read(n * 2.0, f"part-{chance.randrange(60)}", f"p{who}", f"c{who}", parts=60)))
    whole = findings(made(*events, each=40), Engine(scope_of=scope_of))
    assert whole == findings(made(*events), Engine(scope_of=scope_of))
    assert {bool(one.unvouched) for one in whole} == {True, False}
    half = made(*events)
    engine = Engine(scope_of=scope_of)
    before = findings(half[:200], engine)
    again = reborn(engine)
    again._scope_of = scope_of
    assert before + findings(half[200:], again) == whole


def test_a_scope_that_changes_holds_from_there_on() -> None:
    scopes: dict[str, Scope | None] = {"gateway-1": None}
    engine = Engine(scope_of=lambda agent, _: scopes[agent])
    (first,) = of(findings(made(decoy("gateway-1", credential="c1")), engine), "D13")
    scopes["gateway-1"] = GATEWAY
    (second,) = of(findings(made(decoy("gateway-1", 1.0, credential="c2"), first=1), engine), "D13")
    assert (first.unvouched, second.unvouched) == (["gateway-1"], [])


def test_a_month_after_the_last_such_word_nothing_counts_beside_any_more() -> None:
    states: dict[str, object] = {"D01": {"n": 1}}
    doubted = noted(states, "stranger", 100)
    assert doubted["D01"] == {"n": 1}
    assert doubted["D01"] is not states["D01"]
    for n in range(2 * _MOST_AGENTS):
        noted(states, f"agent-{n}", 100)
    assert len(agents_of(doubted)) == _MOST_AGENTS
    assert doubted_of(states, 100 + _FORGET_DAYS) is doubted
    assert doubted_of(states, 101 + _FORGET_DAYS) is None
    assert list(states) == ["D01"]


def beats(signer: str) -> list[Finding]:
    """Four heartbeats of gateway-1 that somebody signed, then ten minutes of others' events in the same shard."""
    items = [beat(n * 30.0)._replace(agent=signer) for n in range(4)]
    return of(run(messages([*items, *[event(100 + n * 10.0, part=f"p{n}", shard=3) for n in range(60)]]), Engine()), "D12")


def test_a_heartbeat_counts_for_who_signed_it() -> None:
    assert [one.features.get("silent") is not None for one in beats("gateway-1")] == [True]
    assert beats("gateway-2") == []


def test_nobody_beats_for_one_that_is_silent() -> None:
    own = [beat(n * 30.0) for n in range(4)]
    others = [beat(120 + n * 30.0)._replace(agent="mallory") for n in range(20)]
    told = of(run(messages([*own, *others, *[event(120 + n * 10.0, part=f"p{n}", shard=3) for n in range(60)]]), Engine()), "D12")
    assert "gateway-1 has sent no heartbeat" in told[0].text


def test_a_finding_names_the_record_of_its_newest_evidence() -> None:
    for found in (run(messages(pull(60)), Engine()), run(messages([notice(1, Verdict.FORK, "two keys")._replace(shard=4)]), Engine())):
        assert found
        for one in found:
            shard, index, pos = max(one.evidence, key=lambda place: place[1])
            assert one.proof is None if one.detector == "D07a" else one.proof == (shard, OFFSETS + index, pos)


def test_a_fork_names_the_record_that_was_refused() -> None:
    item = notice(1, Verdict.FORK, "two keys")
    assert item.signal is not None
    at = type(item.signal)(*[getattr(item.signal, name) for name in item.signal.__struct_fields__[:-1]], 4711)
    (one,) = of(run(messages([item._replace(signal=at)]), Engine()), "D07a")
    assert one.proof == (0, 4711, 0)
