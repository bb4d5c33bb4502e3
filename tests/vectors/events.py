"""Events, good and bad. A bad one is named after its flaw; `rule` says what of section 2 it breaks, in this project's words."""

from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, Why, encode_event, event_leaf

from .common import Json, at, provenance, salt

PLAIN = encode_event(Event(1, salt(0), at(0), "artifact.read", Actor("alice", "human"), Resource("model", "m"), "allowed"))
FULL = encode_event(
    Event(
        1,
        salt(1),
        at(1),
        "artifact.download",
        Actor("alice@example.org", "human", "cred-7c1", "s-1", "laptop", True, ["research"]),
        Resource("model", "models/atlas-7b", "3", "part-1", "models", "restricted", "sha256:" + "0" * 64),
        "denied",
        Why("evaluation", "grant-19", "T-1", ["p-1"], "out of hours"),
        Usage(4_294_967_296, 1, 0, 0, 2**63 - 1, "00"),
        Source("203.0.113.9", "NO", 64_496, "hf-xet/1.2", "h-1"),
        {"request": "7"},
    )
)
_OPEN = PLAIN[:-1]
ACTION, OUTCOME = b'"action":"artifact.read"', b'"outcome":"allowed"'

GOOD: dict[str, bytes] = {
    "plain": PLAIN,
    "every-field": FULL,
    "spaces-and-tabs": PLAIN.replace(b'":', b'" :\t') + b"  ",
    "other-key-order": b'{"outcome":"allowed",' + PLAIN.replace(b"," + OUTCOME, b"")[1:],
    "needless-escapes": PLAIN.replace(b'"alice"', b'"\\u0061lice\\/"'),
    "escaped-surrogate-pair": PLAIN.replace(b'"alice"', b'"\\ud83d\\ude00"'),
    "raw-emoji": PLAIN.replace(b'"alice"', '"\U0001f600"'.encode()),
    "backslash-before-u0000": PLAIN.replace(b'"alice"', b'"a\\\\u0000"'),
    "unknown-fields": _OPEN + b',"later":{"a":[1.5,null,true]}}',
    "unknown-field-inside": PLAIN.replace(b'"kind":"human"', b'"kind":"human","later":1'),
    "nesting-8": _OPEN + b',"later":' + b"[" * 7 + b"]" * 7 + b"}",
    "unknown-long-integer": _OPEN + b',"later":' + b"1" * 5000 + b"}",
    "unknown-large-float": _OPEN + b',"later":1e999}',
    "null-optional-field": _OPEN + b',"why":null}',
    "minus-zero-count": _OPEN + b',"usage":{"bytes":-0}}',
    "february-31": PLAIN.replace(b"2026-11-23", b"2026-02-31"),
    "unknown-integers-of-64-bits": _OPEN + b',"later":[-9223372036854775808,18446744073709551615,-0]}',
    "unknown-largest-doubles": _OPEN + b',"later":[1.7976931348623157e308,-1.7976931348623158E+308,1e-999,0e999]}',
    "first-day": PLAIN.replace(b"2026-11-23", b"1900-01-01"),
    "last-microsecond": PLAIN.replace(b"2026-11-23T04:00:00.000000", b"2299-12-31T23:59:59.999999"),
    "february-29": PLAIN.replace(b"2026-11-23", b"2028-02-29"),
    "16384-bytes": _OPEN + b',"attrs":{"x":"' + b"x" * (16_384 - len(_OPEN) - 18) + b'"}}',
}

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not JSON"),
    "array": (b"[]", "not an object"),
    "16385-bytes": (GOOD["16384-bytes"].replace(b'"x"', b'"xx"'), "longer than 16,384 bytes"),
    "raw-newline": (PLAIN.replace(b'{"v"', b'{\n"v"'), "strict JSON, rule 1"),
    "raw-carriage-return": (PLAIN + b"\r", "strict JSON, rule 1"),
    "not-utf-8": (_OPEN + b',"later":"\xff"}', "strict JSON, rule 1"),
    "utf-8-of-a-surrogate": (_OPEN + b',"later":"\xed\xa0\x80"}', "strict JSON, rule 1"),
    "byte-order-mark": (b"\xef\xbb\xbf" + PLAIN, "strict JSON, rule 1"),
    "nan": (_OPEN + b',"later":NaN}', "strict JSON, rule 1"),
    "trailing-comma": (_OPEN + b",}", "strict JSON, rule 1"),
    "two-values": (PLAIN + PLAIN, "strict JSON, rule 1"),
    "raw-tab-in-string": (PLAIN.replace(b'"alice"', b'"a\tb"'), "strict JSON, rule 1"),
    "nesting-9": (_OPEN + b',"later":' + b"[" * 8 + b"]" * 8 + b"}", "strict JSON, rule 2"),
    "key-twice": (PLAIN.replace(OUTCOME, b'"outcome":"denied",' + OUTCOME), "strict JSON, rule 3"),
    "key-twice-inside": (PLAIN.replace(b'"kind":"human"', b'"kind":"agent","kind":"human"'), "strict JSON, rule 3"),
    "key-twice-by-escape": (_OPEN + b',"later":{"a":1,"\\u0061":2}}', "strict JSON, rule 3"),
    "nul-escaped": (PLAIN.replace(b'"alice"', b'"a\\u0000"'), "strict JSON, rule 4"),
    "nul-in-unknown-key": (_OPEN + b',"\\u0000":1}', "strict JSON, rule 4"),
    "half-surrogate": (PLAIN.replace(b'"alice"', b'"\\ud800"'), "strict JSON, rule 4"),
    "half-surrogate-in-unknown-field": (_OPEN + b',"later":"\\udc00"}', "strict JSON, rule 4"),
    "version-2": (PLAIN.replace(b'"v":1', b'"v":2'), "v is not 1"),
    "version-float": (PLAIN.replace(b'"v":1', b'"v":1.0'), "strict JSON, rule 5"),
    "version-true": (PLAIN.replace(b'"v":1', b'"v":true'), "strict JSON, rule 5"),
    "no-outcome": (PLAIN.replace(b"," + OUTCOME, b""), "a required field is missing"),
    "null-actor": (PLAIN.replace(b'"actor":{"principal":"alice","kind":"human"}', b'"actor":null'), "strict JSON, rule 5"),
    "empty-principal": (PLAIN.replace(b'"alice"', b'""'), "principal is empty"),
    "empty-resource-kind": (PLAIN.replace(b'"kind":"model"', b'"kind":""'), "resource.kind is empty"),
    "empty-resource-id": (PLAIN.replace(b'"id":"m"', b'"id":""'), "resource.id is empty"),
    "unknown-actor-kind": (PLAIN.replace(b'"human"', b'"robot"'), "actor.kind is not of the list"),
    "unknown-action": (PLAIN.replace(ACTION, b'"action":"artifact.steal"'), "action is not of the vocabulary"),
    "unknown-outcome": (PLAIN.replace(OUTCOME, b'"outcome":"maybe"'), "outcome is not of the list"),
    "unknown-sensitivity": (PLAIN.replace(b'"id":"m"', b'"id":"m","sensitivity":"secret"'), "sensitivity is not of the list"),
    "count-with-fraction": (_OPEN + b',"usage":{"bytes":1.0}}', "strict JSON, rule 5"),
    "count-with-exponent": (_OPEN + b',"usage":{"bytes":1e3}}', "strict JSON, rule 5"),
    "negative-count": (_OPEN + b',"usage":{"bytes":-1}}', "a count is negative"),
    "count-2-to-the-63": (_OPEN + b',"usage":{"bytes":9223372036854775808}}', "a count is above 2^63-1"),
    "asn-2-to-the-63": (_OPEN + b',"source":{"asn":9223372036854775808}}', "a count is above 2^63-1"),
    "number-in-attrs": (_OPEN + b',"attrs":{"a":1}}', "strict JSON, rule 5"),
    "salt-of-15-bytes": (PLAIN.replace(salt(0).encode(), salt(0)[:20].encode()), "salt is not 16 bytes"),
    "salt-with-unused-bits": (PLAIN.replace(salt(0).encode(), salt(0)[:21].encode() + b"B"), "salt's last character is none of AQgw"),
    "salt-of-base64": (PLAIN.replace(salt(0).encode(), b"+" + salt(0)[1:].encode()), "salt is not base64url"),
    "time-in-milliseconds": (PLAIN.replace(b".000000Z", b".000Z"), "time has another form"),
    "time-with-offset": (PLAIN.replace(b".000000Z", b".000000+00:00"), "time has another form"),
    "leap-second": (PLAIN.replace(b"04:00:00.", b"23:59:60."), "time has another form"),
    "month-13": (PLAIN.replace(b"2026-11-", b"2026-13-"), "time has another form"),
    "time-in-other-digits": (PLAIN.replace(b"2026", "٢٠٢٦".encode()), "time has another form"),
}


BAD_FROM_LEVEL_3: dict[str, tuple[bytes, str]] = {
    "unknown-long-integer": (GOOD["unknown-long-integer"], "strict JSON, rule 6"),
    "unknown-large-float": (GOOD["unknown-large-float"], "strict JSON, rule 6"),
    "large-float-in-known-object": (PLAIN.replace(b'"kind":"human"', b'"kind":"human","later":{"a":[-1E+309]}'), "strict JSON, rule 6"),
    "float-that-rounds-beyond": (_OPEN + b',"later":1.7976931348623159e308}', "strict JSON, rule 6"),
    "integer-2-to-the-64": (_OPEN + b',"later":18446744073709551616}', "strict JSON, rule 6"),
    "integer-below-minus-2-to-the-63": (_OPEN + b',"later":-9223372036854775809}', "strict JSON, rule 6"),
    "february-31": (GOOD["february-31"], "the day is on no calendar"),
    "february-29-of-1900": (PLAIN.replace(b"2026-11-23", b"1900-02-29"), "the day is on no calendar"),
    "november-31": (PLAIN.replace(b"2026-11-23", b"2026-11-31"), "the day is on no calendar"),
    "year-0": (PLAIN.replace(b"2026-11-23", b"0000-11-23"), "the year is not 1900 to 2299"),
    "year-1899": (PLAIN.replace(b"2026-11-23", b"1899-12-31"), "the year is not 1900 to 2299"),
    "year-2300": (PLAIN.replace(b"2026-11-23", b"2300-01-01"), "the year is not 1900 to 2299"),
}
"""Good at levels 1 and 2."""


def build() -> Json:
    return {
        "provenance": provenance(
            "Events of section 2. Good ones with their leaf hash; bad ones make their segment malformed-event (10). Those that are bad from level 3 on "
            "are good before it, and all others are the same at every level."
        ),
        "good": [{"name": name, "event": raw.hex(), "leaf": event_leaf(raw).hex()} for name, raw in GOOD.items()],
        "bad": [{"name": name, "event": raw.hex(), "rule": rule} for name, (raw, rule) in BAD.items()],
        "bad_from_level_3": [{"name": name, "event": raw.hex(), "rule": rule} for name, (raw, rule) in BAD_FROM_LEVEL_3.items()],
    }
