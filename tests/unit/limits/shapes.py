"""Inputs by size, of about so many bytes: what a parser must look at twice, if it looks at anything twice."""

from collections.abc import Callable, Mapping

Shapes = Mapping[str, Callable[[int], bytes]]

JSON: Shapes = {
    "a string of escapes that never ends": lambda n: b'{"' + b'\\"' * (n // 2),
    "brackets in brackets": lambda n: b"[" * n,
    "one key again and again": lambda n: b"{" + b'"a":1,' * (n // 6) + b'"a":1}',
    "many keys": lambda n: b"{" + b",".join(b'"%d":1' % key for key in range(n // 9)) + b"}",
    "a long number": lambda n: b'{"a":' + b"1" * n + b"}",
    "half surrogates": lambda n: b'{"a":"' + b"\\ud83d" * (n // 6) + b'"}',
    "paths": lambda n: b'{"paths":["' + b"a/" * (n // 4) + b'","' + b'a","' * (n // 8) + b'b"]}',
    "records": lambda n: b'{"Records":[' + b"{}," * (n // 3) + b"{}]}",
    "keys": lambda n: b'{"keys":[' + b'{"kty":"RSA","kid":"a"},' * (n // 24) + b"{}]}",
}
_FRAME = b"TSG1\x01"


def _record(header: bytes) -> bytes:
    return _FRAME + len(header).to_bytes(4, "big") + header + bytes(64) + bytes(4)


RECORDS: Shapes = {
    "no record": lambda n: b"x" * n,
    "escapes in the header": lambda n: _record(JSON["a string of escapes that never ends"](n)),
    "keys in the header": lambda n: _record(JSON["many keys"](n)),
    "a body": lambda n: _FRAME + bytes(4) + bytes(64) + n.to_bytes(4, "big") + bytes(n),
    "an envelope": lambda n: b"TSM1" + bytes(16) + b"\0\0\0\1a\0\0\0\1a" + n.to_bytes(4, "big") + bytes(96) + bytes(n),
}
NOTES: Shapes = {
    "empty lines": lambda n: b"\n" * n,
    "signatures": lambda n: b"a\n\n" + "— a AAAAAAAA\n".encode() * (n // 15),
    "text": lambda n: b"a" * n + b"\n\n",
}
PATHS: Shapes = {
    "slashes": lambda n: b"/" * n,
    "escapes": lambda n: b"/files/models/" + b"%41" * (n // 3),
    "broken escapes": lambda n: b"/files/models/" + b"%%" * (n // 2),
    "names": lambda n: b"/files/models" + b"/a" * (n // 2),
}
HEADERS: Shapes = {
    "tags": lambda n: b'"a",' * (n // 4),
    "open quotes": lambda n: b'W/"' * (n // 3),
    "a tag that never ends": lambda n: b'"' + b"a" * n,
    "spaces": lambda n: b" " * n + b"x",
    "words": lambda n: b"Mon, " * (n // 5),
    "numbers": lambda n: b"1" * n,
    "fields": lambda n: b"a=1&" * (n // 4),
    "escapes": lambda n: b"a=" + b"%41" * (n // 3),
}
RANGES: Shapes = {
    "apart": lambda n: b"bytes=" + b",".join(b"%d-%d" % (2 * at, 2 * at) for at in range(n // 9)),
    "overlapping": lambda n: b"bytes=" + b"0-5," * (n // 4) + b"0-5",
    "commas": lambda n: b"bytes=" + b"," * n,
    "digits": lambda n: b"bytes=" + b"1" * n + b"-",
}
TOKENS: Shapes = {
    "dots": lambda n: b"." * n,
    "a header": lambda n: b"e30" * (n // 3) + b".e30.e30",
    "a payload": lambda n: b"eyJhbGciOiJSUzI1NiIsInR5cCI6InNlY2V2ZW50K2p3dCIsImtpZCI6ImEifQ." + b"e30A" * (n // 4) + b".e30",
    "no base64": lambda n: b"!" * n + b".e30.e30",
}
SQL: Shapes = {
    "spaces": lambda n: b" " * n + b"x",
    "spaces after a bracket": lambda n: b"(" + b" " * n + b"x",
    "spaces after INSERT's table": lambda n: b"INSERT INTO a" + b" " * n,
    "spaces before !": lambda n: b"INSERT INTO a" + b" " * n + b"! FORMAT Native\n",
    "spaces in columns": lambda n: b"INSERT INTO a (b" + b" " * n + b"! FORMAT Native\n",
    "columns": lambda n: b"INSERT INTO a (" + b"a," * (n // 2) + b"! FORMAT Native\n",
    "FORMAT again and again": lambda n: b"INSERT INTO a" + b" FORMAT" * (n // 7),
    "a comment that never ends": lambda n: b"/*" * (n // 2),
    "comments": lambda n: b"/**/" * (n // 256) + b"x",
    "lines of comment": lambda n: b"--\n" * (n // 3) + b"x",
    "spaces after FORMAT's name": lambda n: b"SELECT 1 FORMAT x" + b" " * n + b"!",
    "a long name of a format": lambda n: b"SELECT 1 FORMAT " + b"a" * n + b"!",
    "settings": lambda n: b"SELECT 1 SETTINGS max_threads=1" + b",max_threads=1" * (n // 14) + b"!",
    "spaces after settings": lambda n: b"SELECT 1 SETTINGS max_threads=1" + b" " * n + b"!",
    "spaces after DESC": lambda n: b"DESC a FORMAT b" + b" " * n + b"!",
}
_PART = b'--x\r\ncontent-disposition: form-data; name="a"'
FORM: Shapes = {
    "parts": lambda n: (_PART + b"\r\n\r\n1\r\n") * (n // 56) + b"--x--\r\n",
    "lines": lambda n: _PART + b"\r\n\r\n" + b"1\r\n" * (n // 3) + b"--x--\r\n",
    "a name": lambda n: _PART[:-2] + b"a" * n + b'"\r\n\r\n1\r\n--x--\r\n',
    "parameters": lambda n: _PART + b";a=b" * (n // 4) + b"\r\n\r\n1\r\n--x--\r\n",
    "parameters of a type": lambda n: b"--x\r\ncontent-type: text/plain" + b";a=b" * (n // 4) + b"\r\n\r\n1\r\n--x--\r\n",
    "headers": lambda n: b"--x\r\n" + b"a: b\r\n" * (n // 6) + b"\r\n1\r\n--x--\r\n",
    "forms in forms": lambda n: b"--x\r\ncontent-type: multipart/mixed; boundary=y\r\n\r\n" + b"--y\r\n\r\n" * (n // 8) + b"--x--\r\n",
}
LINES: Shapes = {
    "lines": lambda n: b"a\n" * (n // 2),
    "spaces": lambda n: b" " * n,
    "records": lambda n: b'{"sha256":"a"}\n' * (n // 15),
    "marks on one letter": lambda n: b"a" + "\u0301\u0323".encode() * (n // 4),
    "directions": lambda n: "\u202e".encode() * (n // 3),
    "at signs": lambda n: b"@" * n,
}
AMZ: Shapes = {
    "quotes": lambda n: b'"' * n,
    "quoted words": lambda n: b'o b [06/Feb/2026:00:00:38 +0000] 1.2.3.4 r id REST.GET.OBJECT k "' + b'a" "' * (n // 4),
    "brackets": lambda n: b"o b " + b"[" * n,
    "spaces": lambda n: b" " * n + b"x",
    "words": lambda n: b"a " * (n // 2),
}
COMBINED: Shapes = {
    "quotes": lambda n: b'"' * n,
    "escapes": lambda n: b'1.2.3.4 - - [06/Feb/2026:00:00:38 +0000] "' + b"\\\\" * (n // 2),
    "an agent": lambda n: b'1.2.3.4 - - [06/Feb/2026:00:00:38 +0000] "GET /a HTTP/1.1" 200 1 "-" "' + b'\\"' * (n // 2),
    "a query": lambda n: b'1.2.3.4 - - [06/Feb/2026:00:00:38 +0000] "GET /a?' + b"token=a&" * (n // 8) + b' HTTP/1.1" 200 1 "-" "-"',
    "spaces": lambda n: b" " * n + b"x",
    "commas": lambda n: b"," * n,
}
YAML: Shapes = {
    "brackets": lambda n: b"[" * n,
    "a list": lambda n: b"protected:\n" + b"- a\n" * (n // 4),
    "keys": lambda n: b"".join(b"k%d: 1\n" % key for key in range(n // 8)),
    "one key again and again": lambda n: b"a: 1\n" * (n // 5),
    "anchors": lambda n: b"a: &a [x]\n" + b"b: *a\n" * (n // 6),
    "a text that never ends": lambda n: b'a: "' + b"x\n" * (n // 2),
    "spaces": lambda n: b"a:" + b" " * n + b"b",
}
