"""Envelopes of the control plane, good and bad. A bad one is named after its flaw; `step` is where section 12's steps stop at it."""

import json

from tallystick_schemas.directives import AGENT
from tallystick_schemas.encoding import digest, lp, to_base64
from tallystick_schemas.envelope import MAGIC, TOGETHER, Number, Opener, Signer, parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Directive
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import HEARTBEAT_KEY, ROLE_KEY, Lock, LockHeartbeat, encode_json
from tallystick_schemas.roles import Keyring
from tallystick_schemas.signing import sign_record

from .common import Json, NamedKey, at, provenance
from .script import OPERATOR

DEPLOYMENT, FIRST = "vectors", Number(7, 3)
ROLES = {"responder": "responder", "notary": "notary", "gateway": "point", "console": "commander", "old": "responder"}
KEYS = {name: NamedKey(name) for name in (*ROLES, "nobody", "strange operator")}
EVE = b"principal:eve@example.org"
LOCK = Lock(subject=EVE.decode(), state="locked", command="c-1", reason="she took all of it", by="ann", at=at(1))
BODY = encode_json(LOCK)


def role(name: str, n: int = 0, *, state: str = "active", agent: str = "", operator: NamedKey = OPERATOR) -> bytes:
    """The directive that gives a key its role."""
    key = KEYS[name]
    value = {"public_key": to_base64(key.public), "roles": [ROLES.get(name, "responder")], "state": state, "scope": {}}
    return sign_record(Directive(1, operator.id, at(n), AGENT, f"{agent or name} {key.id}", n, value), operator.private)


DIRECTIVES = [*(role(name) for name in ROLES), role("old", 1, state="revoked")]
"""What the operator said of these keys."""
FORGED = [role("nobody", operator=KEYS["strange operator"])]
"""Directives that no pinned operator signed: they give nothing."""


def said(name: str, topic: str = "locks", key: bytes | None = EVE, *, number: Number = FIRST, body: bytes = BODY, **more: str) -> bytes:
    return Signer(more.get("deployment", DEPLOYMENT), more.get("agent", name), KEYS[name].private).sign(topic, key, number, body)


GOOD_ONE = said("responder")
TURN = [(Number(7, 4), b"\x93\x01"), (Number(7, 5), b""), (Number(7, 6), b"\x93\x02")]
"""Bodies of one turn of the notary, for partitions of one topic."""


def together(name: str = "notary", topic: str = "verified", deployment: str = DEPLOYMENT) -> list[bytes]:
    return Signer(deployment, name, KEYS[name].private).sign_together(topic, None, TURN)


GOOD_SECOND = together()[1]


def _row(name: str, value: bytes, topic: str = "locks", key: bytes | None = EVE) -> Json:
    return {"name": name, "topic": topic, "key": None if key is None else key.hex(), "value": value.hex()}


def _good(name: str, agent: str, topic: str, key: bytes | None, number: Number, body: bytes) -> Json:
    row = _row(name, said(agent, topic, key, number=number, body=body), topic, key)
    return row | {"agent": agent, "fence": number.fence, "n": number.n, "body": body.hex()}


def _good_together(name: str, at: int) -> Json:
    number, body = TURN[at]
    row = _row(name, together()[at], "verified", None)
    return row | {"agent": "notary", "fence": number.fence, "n": number.n, "body": body.hex()}


def _bad(name: str, step: int, value: bytes, topic: str = "locks", key: bytes | None = EVE) -> Json:
    return _row(name, value, topic, key) | {"step": step}


def _goods() -> list[Json]:
    return [
        _good("a-lock", "responder", "locks", EVE, FIRST, BODY),
        _good("no-kafka-key", "notary", "acts", None, Number(0, 0), b"\x93\x01"),
        _good("an-empty-kafka-key", "notary", "acts", b"", Number(0, 1), b"\x93\x01"),
        _good("an-empty-body", "notary", "receipts", b"trainer", Number(1, 0), b""),
        *(_good_together(f"signed-together-{at + 1}-of-3", at) for at in range(3)),
        _good("the-highest-number", "gateway", "enforcement", b"gateway", Number(2**64 - 1, 2**64 - 1), b"{}"),
    ]


def _no_envelopes() -> list[Json]:
    head = parse_claim(GOOD_ONE).head
    rest = GOOD_ONE[4 + len(head) :]
    numbers, said = head[:16], head[-36:]
    return [
        _bad("nothing", 1, b""),
        _bad("unsigned", 1, BODY),
        _bad("another-magic", 1, b"TSM3" + GOOD_ONE[4:]),
        _bad("magic-alone", 1, MAGIC),
        _bad("cut-in-the-numbers", 1, GOOD_ONE[:19]),
        _bad("cut-in-the-agent", 1, GOOD_ONE[:26]),
        _bad("cut-in-the-key-id", 1, GOOD_ONE[: 4 + len(head) - 37]),
        _bad("cut-in-the-size", 1, GOOD_ONE[: 4 + len(head) - 33]),
        _bad("cut-in-the-hash", 1, GOOD_ONE[: 4 + len(head) - 1]),
        _bad("cut-in-the-signature", 1, GOOD_ONE[: 4 + len(head) + 63]),
        _bad("one-byte-more", 1, GOOD_ONE + b" "),
        _bad("one-byte-less", 1, GOOD_ONE[:-1]),
        _bad("agent-of-129-bytes", 1, MAGIC + numbers + lp(b"a" * 129) + lp(KEYS["responder"].id.encode()) + said + rest),
        _bad("key-id-of-17-bytes", 1, MAGIC + numbers + lp(b"responder") + lp(KEYS["responder"].id.encode() + b"0") + said + rest),
        _bad("agent-not-ascii", 1, MAGIC + numbers + lp("respönder".encode()) + lp(KEYS["responder"].id.encode()) + said + rest),
    ]


def _nobodys() -> list[Json]:
    return [
        _bad("key-without-a-directive", 2, said("strange operator", agent="responder")),
        _bad("directive-that-no-pinned-operator-signed", 2, said("nobody")),
        _bad("key-of-another-agent", 2, said("notary", agent="responder")),
        _bad("revoked-key", 3, said("old")),
        _bad("role-of-another-topic", 4, said("notary")),
        _bad("point-that-lifts-a-lock", 4, said("gateway")),
        _bad("commander-on-decisions", 4, said("console", "decisions"), "decisions"),
        _bad("topic-that-is-not-for-envelopes", 4, said("responder", "events"), "events"),
    ]


def _elsewhere() -> list[Json]:
    head = parse_claim(GOOD_ONE).head
    forged = Signer(DEPLOYMENT, "responder", KEYS["notary"].private).sign("locks", EVE, FIRST, BODY)
    after = len(head) + 4 + 64
    return [
        _bad("signed-by-another-key", 5, GOOD_ONE[: 4 + len(head)] + forged[4 + len(head) :]),
        _bad("another-hash", 5, GOOD_ONE[: after - 96] + digest(b"another") + GOOD_ONE[after - 64 :]),
        _bad("another-size", 5, GOOD_ONE[: after - 100] + (len(BODY) + 1).to_bytes(4, "big") + GOOD_ONE[after - 96 :] + b" "),
        _bad("another-number", 5, GOOD_ONE[:19] + b"\x04" + GOOD_ONE[20:]),
        _bad("of-another-deployment", 5, said("responder", deployment="other")),
        _bad("of-another-topic", 5, GOOD_ONE, "decisions"),
        _bad("of-another-kafka-key", 5, GOOD_ONE, "locks", b"principal:bob@example.org"),
        _bad("without-its-kafka-key", 5, GOOD_ONE, "locks", None),
        _bad("kafka-key-empty-for-none", 5, said("notary", "acts", None), "acts", b""),
        _bad("another-body", 6, GOOD_ONE[:after] + GOOD_ONE[after:].replace(b"locked", b"lacked")),
    ]


def _not_together() -> list[Json]:
    """The second of three messages, changed: its body is empty, so it ends with the signature."""
    claim = parse_claim(GOOD_SECOND)
    head, listed, signature = claim.head, claim.listed, claim.signature
    alone = Signer(DEPLOYMENT, "notary", KEYS["notary"].private).sign("verified", None, *TURN[1])
    other = parse_claim(together()[0])
    seventeen, place = b"\x11" + digest(head) * 17, (DEPLOYMENT, ("verified", None))

    def bad(name: str, step: int, value: bytes, topic: str = "verified") -> Json:
        return _bad(f"together-{name}", step, value, topic, None)

    return [
        bad("no-count", 1, TOGETHER + head),
        bad("none", 1, TOGETHER + head + b"\0" + signature),
        bad("seventeen", 1, TOGETHER + head + seventeen + KEYS["notary"].private.sign(claim._replace(listed=seventeen).signed(*place))),
        bad("hashes-cut-off", 1, TOGETHER + head + listed[:-1]),
        bad("signature-cut-off", 1, GOOD_SECOND[:-1]),
        bad("another-magic", 1, MAGIC + GOOD_SECOND[4:]),
        bad("none-of-those", 1, TOGETHER + head + b"\2" + listed[1:33] + listed[65:] + signature),
        bad("another-number", 1, TOGETHER + head[:15] + b"\x09" + head[16:] + listed + signature),
        bad("key-without-a-directive", 2, together("strange operator")[1]),
        bad("role-of-another-topic", 4, together("responder")[1]),
        bad("one-left-out", 5, TOGETHER + head + b"\2" + listed[1:65] + signature),
        bad("another-order", 5, TOGETHER + head + listed[:1] + listed[33:65] + listed[1:33] + listed[65:] + signature),
        bad("signature-of-one-alone", 5, TOGETHER + head + listed + parse_claim(alone).signature),
        bad("signature-of-all-for-one-alone", 5, MAGIC + head + signature),
        bad("of-another-deployment", 5, together(deployment="other")[1]),
        bad("of-another-topic", 5, GOOD_SECOND, "acts"),
        bad("body-of-another", 6, TOGETHER + other.head + listed + signature + TURN[2][1]),
    ]


def _locks() -> Json:
    """A topic from its beginning, and the heartbeat that its writer would sign then."""
    topic = LockTopic(Opener(DEPLOYMENT, Keyring({OPERATOR.id: OPERATOR.public})))
    bob = b"credential:cred-1"
    lifted = Lock(subject=EVE.decode(), state="unlocked", command="c-3", reason="it was a drill", by="ben", at=at(3))
    other = Lock(subject=bob.decode(), state="locked", command="c-2", reason="a copied token", by="responder", at=at(2), until=at(9))
    values: list[tuple[str, bytes, bytes | None]] = [
        *(("a role", ROLE_KEY + f"{name}/{KEYS[name].id}".encode(), role(name)) for name in ROLES),
        ("a role is revoked", ROLE_KEY + f"old/{KEYS['old'].id}".encode(), role("old", 1, state="revoked")),
        ("a lock", EVE, said("responder", number=Number(7, 0))),
        ("another lock", bob, said("responder", key=bob, number=Number(7, 1), body=encode_json(other))),
        ("the first is lifted", EVE, said("responder", number=Number(7, 2), body=encode_json(lifted))),
        ("the lock again: too late", EVE, said("responder", number=Number(7, 0))),
        ("a tombstone lifts nothing", bob, None),
        ("a lock of a later owner", EVE, said("responder", number=Number(8, 0))),
        ("a word of the owner before", bob, said("responder", key=bob, number=Number(7, 9), body=encode_json(lifted))),
        ("nobody's word", bob, BODY),
    ]
    for _, key, value in values:
        try:
            topic.take(key, value)
        except ParseError:
            continue  # what is refused is part of the vector, and so is what is left then
    beat: LockHeartbeat = topic.heartbeat(at(10))
    sealed = said("responder", key=HEARTBEAT_KEY, number=Number(8, 1), body=encode_json(beat))
    return {
        "values": [{"name": name, "key": key.hex(), "value": None if value is None else value.hex()} for name, key, value in values],
        "locked": sorted(json.loads(encode_json(held.lock))["command"] for held in topic.held.values() if held.lock.state == "locked"),
        "heartbeat": {"key": HEARTBEAT_KEY.hex(), "value": sealed.hex(), "body": json.loads(encode_json(beat))},
    }


def build() -> Json:
    return {
        "provenance": provenance("Messages of the control plane (section 12), each under a topic and a Kafka key of one deployment."),
        "deployment": DEPLOYMENT,
        "operator": OPERATOR.to_json(),
        "keys": [key.to_json() for key in KEYS.values()],
        "directives": [raw.hex() for raw in DIRECTIVES],
        "forged_directives": [raw.hex() for raw in FORGED],
        "good": _goods(),
        "bad": [*_no_envelopes(), *_nobodys(), *_elsewhere(), *_not_together()],
        "locks": _locks(),
    }
