"""history-2: directives. Shard 0 puts them in force; shard 1 never does, so there the same records are none. Verdicts are written by hand."""

from typing import Any

from tallystick_schemas.directives import ADOPT, AGENT, RULES
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.headers import Directive, Kind, encode_header
from tallystick_schemas.records import parse_record
from tallystick_schemas.signing import sign_record

from .common import Json, NamedKey, at, provenance
from .history import body_changed
from .script import FIRST_APPEND_MS, LOG, OPERATOR, SEALER, RootLog, Shard, enrol, generation, seal, signed, verified

TRAINER, STRANGER = NamedKey("trainer"), NamedKey("an operator whose key nobody pinned")
SUBJECT = f"trainer {TRAINER.id}"
ACTIVE: Json = {"public_key": to_base64(TRAINER.public), "roles": ["recorder"], "scope": {"actions": ["model.*"]}}
REVOKED: Json = {**ACTIVE, "state": "revoked"}


def header(about: str, subject: str, value: dict[str, Any], n: int = 0, when: int = 0, key: str = OPERATOR.id) -> Directive:
    return Directive(1, key, at(when), about, subject, n, value)


def rules(n: int = 0, level: object = 2, when: int = 1) -> bytes:
    return sign_record(header(RULES, "", {"level": level}, n, when), OPERATOR.private)


def about_agent(value: dict[str, Any], n: int, when: int = 2) -> bytes:
    return sign_record(header(AGENT, SUBJECT, value, n, when), OPERATOR.private)


def not_yet(shard: Shard) -> None:
    """Kind 7 in a shard that knows no directive: no record, whatever else is right or wrong with it."""
    good = rules()
    raw = parse_record(good).header_raw
    shard.add("directive about an agent before any about rules", 8, about_agent(ACTIVE, 0))
    shard.add("rules under a key that is not pinned", 8, sign_record(header(RULES, "", {"level": 2}, key=STRANGER.id), STRANGER.private))
    shard.add("rules under the sealer's key", 8, sign_record(header(RULES, "", {"level": 2}, key=SEALER.id), SEALER.private))
    shard.add("rules whose signature does not fit", 8, signed(Kind.DIRECTIVE, raw, STRANGER))
    shard.add("rules with a body", 8, body_changed(good, b"x"))
    shard.add("rules of version 2", 8, signed(Kind.DIRECTIVE, raw.replace(b'"v":1', b'"v":2'), OPERATOR))
    shard.add("rules with one byte more", 8, good + b"\0")
    shard.add("kind 7 and nothing else", 8, b"TSG1\x07")


def in_force(shard: Shard) -> None:
    """What is in force about a subject: the highest number, and nothing that is wrong."""
    shard.add("rules", 0, rules())
    shard.add("rules again", 2, rules())
    shard.add("directive 0 about an agent that is not enrolled", 0, about_agent(ACTIVE, 0))
    shard.add("enrolment", 0, enrol("trainer", TRAINER, 3))
    shard.add("directive 3 about the agent", 0, about_agent(ACTIVE, 3))
    shard.add("directive 3 about the agent with other bytes", 2, about_agent(REVOKED, 3))
    shard.add("directive 1 about the agent", 2, about_agent(REVOKED, 1))
    shard.add("directive 4 revokes its role", 0, about_agent(REVOKED, 4))
    adopt = header(ADOPT, "detectors", {"before": "84b3f62"}, 0, 4)
    shard.add("directive about something else", 0, sign_record(adopt, OPERATOR.private))
    shard.add("directive about a word that nobody knows", 0, sign_record(header("weather", "", {}), OPERATOR.private))
    shard.add("directive about an agent, whose value is no mandate", 0, about_agent({"roles": "king"}, 5))
    nested = header("weather", "nested to level 8", {"x": [[[[[[]]]]]]})
    shard.add("directive whose value is nested to level 8", 0, sign_record(nested, OPERATOR.private))
    shard.add("rules once more, under the next number", 0, rules(1))


def refused(shard: Shard) -> None:
    good = about_agent(ACTIVE, 6)
    raw = parse_record(good).header_raw
    shard.add(
        "directive under a key that is not pinned", 5, sign_record(header(AGENT, SUBJECT, ACTIVE, 6, key=STRANGER.id), STRANGER.private)
    )
    shard.add("directive under the sealer's key", 5, sign_record(header(AGENT, SUBJECT, ACTIVE, 6, key=SEALER.id), SEALER.private))
    shard.add("directive whose signature does not fit", 4, signed(Kind.DIRECTIVE, raw, STRANGER))
    shard.add("directive with a signature over another type", 4, good[:5] + signed(Kind.ERASE, raw, OPERATOR)[5:])
    shard.add("directive with a body", 7, body_changed(good, b"x"))
    shard.add("directive of version 2", 9, signed(Kind.DIRECTIVE, raw.replace(b'"v":1', b'"v":2'), OPERATOR))
    for name, found, given in (
        ("directive about a word in capitals", b'"agent"', b'"AGENT"'),
        ("directive about nothing", b'"about":"agent",', b""),
        ("directive whose subject has 257 characters", SUBJECT.encode(), b"s" * 257),
        ("directive whose number is -1", b'"n":6', b'"n":-1'),
        ("directive whose number is 2^63", b'"n":6', b'"n":9223372036854775808'),
        ("directive whose number is true", b'"n":6', b'"n":true'),
        ("directive whose value is a list", encode_value(ACTIVE), b"[]"),
        ("directive whose value is null", encode_value(ACTIVE), b"null"),
        ("directive with a key twice in its value", b'"roles":', b'"roles":[],"roles":'),
        ("directive whose value is nested to level 9", encode_value(ACTIVE), b'{"x":' + b"[" * 7 + b"]" * 7 + b"}"),
        ("the same in another spelling", encode_value(ACTIVE), b'{"x": ' + b"[" * 7 + b"]" * 7 + b"}"),
    ):
        assert found in raw, name
        shard.add(name, 8, signed(Kind.DIRECTIVE, raw.replace(found, given, 1), OPERATOR))
    shard.add("kind 8", 8, good[:4] + b"\x08" + good[5:])


def encode_value(value: Json) -> bytes:
    """A value as it stands in a header."""
    return encode_header(header(AGENT, SUBJECT, value)).split(b'"value":', 1)[1][:-1]


def _stop(shard: Shard, name: str, record: bytes) -> Json:
    """The record that comes next and ends it all."""
    last = shard.rows[-1]
    return {
        "shard": shard.number,
        "name": name,
        "offset": last["offset"] + 1,
        "append_ms": FIRST_APPEND_MS + 10 * len(shard.rows),
        "record": record.hex(),
        "error": "RulesUnknown",
    }


def build() -> Json:
    shards, root = [Shard(0), Shard(1)], RootLog()
    first, second = shards
    for shard in shards:
        shard.add("generation 0", 0, generation(0, shard.number, -1, 0))
        not_yet(shard)
    in_force(first)
    refused(first)
    first.add("seal of epoch 0", 0, seal(0, 20))
    second.add("seal of epoch 0", 0, seal(0, 20))
    root.round(shards)
    return {
        "provenance": provenance(
            "A history with directives: before, while and after they are put in force. Each record is named after what it shows."
        ),
        "deployment": LOG.deployment,
        "root_origin": LOG.root_origin,
        "keys": {"operator": OPERATOR.to_json(), "sealer": SEALER.to_json()},
        "agents": [TRAINER.to_json(), STRANGER.to_json()],
        "shards": [shard.to_json() for shard in shards],
        "root_leaves": [data.hex() for data in root.data],
        "checkpoints": root.checkpoints,
        "verified": verified(),
        "stops_the_fold": [
            _stop(first, "rules of level 4", rules(2, 4)),
            _stop(first, "rules whose level is true", rules(2, True)),
            _stop(first, "rules of level 1", rules(2, 1)),
            _stop(second, "the first rules are of level 4", rules(0, 4)),
        ],
    }
