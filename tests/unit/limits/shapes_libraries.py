"""Inputs by size for what libraries read before us, and for formats that come as files: heads, batches of Kafka, TOML, XML, rules."""

from msgspec.structs import replace
from tests.support.batches import make_batch, payload_batch

from tallystick_schemas.checkpoints import TOPOLOGY_PREFIX
from tallystick_schemas.messages import VerifiedBatch, VerifiedSegment, encode_batch
from tallystick_schemas.records import pack_items

from .shapes import COMBINED, JSON, YAML, Shapes

_LINE = b"GET / HTTP/1.1\r\nhost: a\r\n"
_CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
HEADS: Shapes = {
    "headers": lambda n: _LINE + b"a: b\r\n" * (n // 6) + b"\r\n",
    "headers without end": lambda n: _LINE + b"a: b\r\n" * (n // 6),
    "one header": lambda n: _LINE + b"a: " + b"b" * n + b"\r\n\r\n",
    "a name": lambda n: _LINE + b"a" * n + b": b\r\n\r\n",
    "an address": lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    "escapes in an address": lambda n: b"GET /" + b"%41" * (n // 3) + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    "spaces": lambda n: _LINE + b"a:" + b" " * n + b"b\r\n\r\n",
    "folded lines": lambda n: _LINE + b"a: b\r\n" + b" c\r\n" * (n // 4) + b"\r\n",
    "a method": lambda n: b"G" * n,
    "requests": lambda n: (_LINE + b"\r\n") * (n // 27),
    "chunks": lambda n: _CHUNKED + b"1\r\na\r\n" * (n // 6) + b"0\r\n\r\n",
    "a chunk's length": lambda n: _CHUNKED + b"0" * n + b"1\r\na\r\n",
    "a chunk's extensions": lambda n: _CHUNKED + b"1" + b";a=b" * (n // 4) + b"\r\na\r\n0\r\n\r\n",
    "headers behind a body": lambda n: _CHUNKED + b"1\r\na\r\n0\r\n" + b"a: b\r\n" * (n // 6) + b"\r\n",
}
_XERIAL = b"\x82SNAPPY\x00" + (1).to_bytes(4, "big") * 2
_BLOCK = b"\x01\x00\x00"
"""One byte, packed by snappy."""
BATCHES: Shapes = {
    "records": lambda n: make_batch([(b"k", b"v", [])] * (n // 9)),
    "a record": lambda n: make_batch([(b"k", b"v" * n, [])]),
    "headers": lambda n: make_batch([(b"k", b"v", [("a", b"b")] * (n // 4))]),
    "batches": lambda n: b"".join(make_batch([(b"k", b"v", [])], first=at) for at in range(n // 70)),
    "batches that are refused": lambda n: b"".join(payload_batch(b"", 1, 1, first=at) for at in range(n // 61)),
    "records of gzip": lambda n: make_batch([(b"k", b"v", [])] * (n // 9), codec=1),
    "records of lz4": lambda n: make_batch([(b"k", b"v", [])] * (n // 9), codec=3),
    "records of zstd": lambda n: make_batch([(b"k", b"v", [])] * (n // 9), codec=4),
    "blocks of snappy": lambda n: payload_batch(_XERIAL + (len(_BLOCK).to_bytes(4, "big") + _BLOCK) * (n // 7), 2, 1),
    "records that are not there": lambda n: payload_batch(b"", 0, n),
    "lengths that go on": lambda n: payload_batch(b"\xff" * n, 0, 1),
    "no batch": lambda n: b"\0" * n,
}
TOML: Shapes = {
    "keys": lambda n: b"".join(b"k%d=1\n" % key for key in range(n // 8)),
    "tables": lambda n: b"".join(b"[k%d]\n" % key for key in range(n // 8)),
    "tables of an array": lambda n: b"[[a]]\n" * (n // 6),
    "dotted keys": lambda n: b"".join(b"a.k%d=1\n" % key for key in range(n // 10)),
    "a long dotted key": lambda n: b"a." * (n // 2) + b"a=1\n",
    "a table within tables": lambda n: b"[" + b"a." * (n // 2) + b"a]\n",
    "brackets": lambda n: b"a=" + b"[" * n,
    "a list": lambda n: b"a=[" + b"1," * (n // 2) + b"]\n",
    "inline tables": lambda n: b"a={" + b",".join(b"k%d=1" % key for key in range(n // 8)) + b"}\n",
    "a text that never ends": lambda n: b'a="""' + b'"" ' * (n // 3),
    "escapes": lambda n: b'a="' + b"\\u0041" * (n // 6) + b'"\n',
    "comments": lambda n: b"#\n" * (n // 2),
    "spaces": lambda n: b"a" + b" " * n + b"= 1\n",
    "digits": lambda n: b"a=" + b"1" * n + b"\n",
    "underscores": lambda n: b"a=" + b"1_" * (n // 2) + b"1\n",
}
_KEYS = b"<ListAccessKeysResponse><ListAccessKeysResult>%b</ListAccessKeysResult></ListAccessKeysResponse>"
_DOCTYPE = b'<!DOCTYPE ListAccessKeysResponse [<!ENTITY e "%b">]>'
XML: Shapes = {
    "members": lambda n: _KEYS % (b"<AccessKeyMetadata>" + b"<member/>" * (n // 9) + b"</AccessKeyMetadata>"),
    "elements": lambda n: _KEYS % (b"<b/>" * (n // 4)),
    "elements of many names": lambda n: _KEYS % b"".join(b"<k%d/>" % at for at in range(n // 8)),
    "elements in elements": lambda n: _KEYS % (b"<a>" * (n // 7) + b"</a>" * (n // 7)),
    "attributes": lambda n: _KEYS % (b"<a " + b" ".join(b'k%d="1"' % at for at in range(n // 10)) + b"/>"),
    "namespaces": lambda n: _KEYS % (b"<a " + b" ".join(b'xmlns:k%d="1"' % at for at in range(n // 14)) + b"/>"),
    "text": lambda n: _KEYS % (b"<UserName>" + b"x" * n + b"</UserName>"),
    "entities": lambda n: _DOCTYPE % (b"x" * (n // 2)) + _KEYS % (b"&e;" * (n // 6)),
    "a comment that never ends": lambda n: _KEYS[:46] + b"<!--" + b"- " * (n // 2),
}
_RULE = b"""title: a
id: 6b8f6a2e-0000-4000-8000-000000000000
level: low
logsource: {product: tallystick}
tallystick: {examples: [{expect: true, events: [{actor.principal: a}]}, {expect: false, events: [{actor.principal: b}]}]}
detection:
"""
RULES: Shapes = {
    **YAML,
    "a condition": lambda n: _RULE + b"  s: {actor.principal: a}\n  condition: s" + b" or s" * (n // 5) + b"\n",
    "a condition that says not": lambda n: _RULE + b"  s: {actor.principal: a}\n  condition: " + b"not " * (n // 4) + b"s\n",
    "brackets in a condition": lambda n: _RULE + b"  s: {actor.principal: a}\n  condition: " + b"(" * n + b"s" + b")" * n + b"\n",
    "selections": lambda n: _RULE + b"".join(b"  s%d: {actor.principal: a}\n" % at for at in range(n // 28)) + b"  condition: 1 of s*\n",
    "values": lambda n: _RULE + b"  s:\n    actor.principal: [" + b"a," * (n // 2) + b"a]\n  condition: s\n",
    "wildcards": lambda n: _RULE + b"  s: {actor.principal: '" + b"*a" * (n // 2) + b"'}\n  condition: s\n",
    "an expression": lambda n: _RULE + b"  s: {actor.principal|re: '" + b"a*" * (n // 2) + b"'}\n  condition: s\n",
}  # fmt: skip
REQUESTS: Shapes = {
    **JSON,
    "events": lambda n: b'{"events_requested":[' + b'"a",' * (n // 4) + b'"a"]}',
    "what nobody may set": lambda n: b"{" + b",".join(b'"k%d":1' % at for at in range(n // 9)) + b"}",
    "an address": lambda n: b'{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"' + b"https://" * (n // 8) + b'"}}',
    "a subject": lambda n: b'{"subject":{"format":"email","email":"' + b"a@" * (n // 2) + b'"}}',
    "a subject of many members": lambda n: b'{"subject":{"format":"email",' + b",".join(b'"k%d":"a"' % at for at in range(n // 11)) + b"}}",
    "acknowledgements": lambda n: b'{"ack":[' + b'"a",' * (n // 4) + b'"a"]}',
    "errors": lambda n: b'{"setErrs":{' + b",".join(b'"k%d":{"err":"a"}' % at for at in range(n // 18)) + b"}}",
}
_SEGMENT = VerifiedSegment(0, "agent", "0" * 32, 0, 0, [(0, b"{}")], 0, "")
ITEMS: Shapes = {
    "nothing": bytes,
    "empty items": lambda n: pack_items([b""] * (n // 4)),
    "small events": lambda n: pack_items([b"{}"] * (n // 6)),
    "an event": lambda n: pack_items([JSON["many keys"](n)]),
    "events that open and do not end": lambda n: pack_items([b'{"a":"\\"'] * (n // 12)),
}
_TEXT = b'{"t":"%b","u":"a","r":"b","n":%b}'
ROWS: Shapes = {
    **JSON,
    "a user": lambda n: b'{"t":"2026-01-01 00:00:00","r":"b","n":1,"u":"' + b"a@" * (n // 2) + b'"}',
    "a time": lambda n: _TEXT % (b"1" * n, b'"1"'),
    "spaces in a time": lambda n: _TEXT % (b"1" + b" " * n + b"x", b'"1"'),
    "a count": lambda n: _TEXT % (b"2026-01-01 00:00:00", b'"' + b"1" * n + b'"'),
    "a fraction": lambda n: _TEXT % (b"2026-01-01 00:00:00", b'"1.' + b"1" * n + b'"'),
    "a value that is a list": lambda n: _TEXT % (b"2026-01-01 00:00:00", b"[" + b"1," * (n // 2) + b"1]"),
}
CELLS: Shapes = {
    **COMBINED,
    "a time": lambda n: b"1" * n + b",a,b,1",
    "spaces in a time": lambda n: b"1" + b" " * n + b"x,a,b,1",
    "a count": lambda n: b"2026-01-01 00:00:00,a,b," + b"1" * n,
    "columns": lambda n: b"2026-01-01 00:00:00,a,b,1" + b",a" * (n // 2),
}
CHECKPOINTS: Shapes = {
    "lines": lambda n: b"a\n" * (n // 2),
    "digits": lambda n: b"a\n" + b"1" * n + b"\nAAAA\n",
    "a root": lambda n: b"a\n1\n" + b"A" * n + b"\n",
    "logs": lambda n: TOPOLOGY_PREFIX + b'{"v":1,"from":0,"logs":[' + b'"a",' * (n // 4) + b'"a"]}',
    "brackets": lambda n: TOPOLOGY_PREFIX + b"[" * n,
}
MESSAGES: Shapes = {
    "nothing": bytes,
    "lists in lists": lambda n: b"\x91" * n,
    "a list that is announced": lambda n: b"\xdd\xff\xff\xff\xff" + bytes(n),
    "segments": lambda n: encode_batch(VerifiedBatch(2, 0, [_SEGMENT] * (n // 60), [])),
    "events": lambda n: encode_batch(VerifiedBatch(2, 0, [replace(_SEGMENT, events=[(0, b"{}")] * (n // 5))], [])),
}
DATES: Shapes = {
    "words": lambda n: b"Mon, " * (n // 5),
    "colons": lambda n: b"1 Jan 2026 " + b"1:" * (n // 2),
    "brackets": lambda n: b"(" * n,
    "digits": lambda n: b"1" * n,
    "spaces": lambda n: b"Mon," + b" " * n + b"1 Jan 2026 00:00:00 GMT",
    "zones": lambda n: b"Mon, 1 Jan 2026 00:00:00 " + b"+-" * (n // 2),
}
_INPUT = b'{"id":"a","property":"b","value":1}'
CALLBACKS: Shapes = {
    **JSON,
    "outputs": lambda n: b'{"output":"..' + b"a.b..." * (n // 6) + b'a.b..","outputs":[],"inputs":[],"changedPropIds":[]}',
    "inputs": lambda n: (
        b'{"output":"page.children","outputs":{"id":"page","property":"children"},"inputs":['
        + (_INPUT + b",") * (n // len(_INPUT))
        + _INPUT
        + b'],"changedPropIds":[]}'
    ),
    "inputs of a page": lambda n: _routed(b'"/' + b"a" * n + b'"'),
    "what changed": lambda n: _routed(b'"/"', b'"a",' * (n // 4)),
    "lists in lists": lambda n: _routed(b"[" * (n // 2) + b"]" * (n // 2)),
}


def _routed(value: bytes, changed: bytes = b"") -> bytes:
    """The callback that shows a page, as the browser asks for it."""
    return (
        b'{"output":"..page.children...page-name.data..","outputs":[{"id":"page","property":"children"},{"id":"page-name","property":"data"}],'
        b'"inputs":[{"id":"url","property":"pathname","value":%b}],"state":[{"id":"page-name","property":"data"}],'
        b'"changedPropIds":[%b"url.pathname"]}' % (value, changed)
    )
