"""The S3 access log and the combined log: which field of a line becomes which field of an event."""

import pytest

from tallystick_producers.collectors import LogEvent, log_format
from tallystick_producers.errors import LineRefused
from tallystick_schemas.events import Actor, Resource, Source, Usage

COMBINED = log_format("combined").parser(b"")
S3 = log_format("s3").parser(b"")
OWNER = "f00dfeed" * 8


def combined(request='"GET /models/a.bin HTTP/1.1"', status="200", size="512", user="-", more=' "-" "curl/8.1"'):
    return COMBINED(f"203.0.113.9 - {user} [23/Nov/2026:05:00:01 +0100] {request} {status} {size}{more}\n".encode())


def s3(
    operation="REST.GET.OBJECT", key="models/a%2Bb+c.bin", requester="arn:aws:iam::1:user/eva", status="200", sent="77", error="-", tail=""
):
    head = f"{OWNER} weights [23/Nov/2026:04:00:00 +0000] 203.0.113.9 {requester} REQ1 {operation} {key}"
    return S3(f'{head} "GET /x HTTP/1.1" {status} {error} {sent} 99 12 11 "https://a/?token=t" "aws-cli/2" v7{tail}\n'.encode())


def test_a_combined_line_field_by_field():
    assert combined('"GET /models/a%20b.bin?part=2 HTTP/1.1"', user="eva", more=' "https://r/" "curl/8.1"') == LogEvent(
        time="2026-11-23T04:00:01.000000Z",
        action="artifact.download",
        actor=Actor("eva", "human"),
        resource=Resource("artifact", "/models/a b.bin"),
        outcome="allowed",
        usage=Usage(bytes=512, objects=1),
        source=Source(ip="203.0.113.9", user_agent="curl/8.1"),
        attrs={"method": "GET", "status": "200", "query": "part=2", "referrer": "https://r/", "protocol": "HTTP/1.1"},
    )


def test_nobody_signed_in_means_the_address_is_the_principal():
    assert combined().actor.principal == "203.0.113.9"


def test_a_users_name_may_hold_spaces_and_an_agent_quotes():
    event = combined(user="eva von b", more=r' "-" "a \"quoted\" agent"')
    assert event.actor.principal == "eva von b"
    assert event.source is not None
    assert event.source.user_agent == r"a \"quoted\" agent"


def test_the_common_log_has_neither_referrer_nor_agent():
    event = combined(more="")
    assert event.source == Source(ip="203.0.113.9")
    assert "referrer" not in event.attrs


def test_fields_that_a_server_adds_at_the_end_are_passed_over():
    assert combined(more=' "-" "curl/8.1" 0.003 "extra"').usage == Usage(bytes=512, objects=1)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("206", "allowed"), ("304", "allowed"), ("401", "denied"), ("403", "denied"), ("429", "denied"), ("500", "error")],
)
def test_the_status_is_the_outcome(status, outcome):
    event = combined(status=status)
    assert event.outcome == outcome
    assert event.usage == Usage(bytes=512, objects=1 if status == "206" else None)


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("PUT", "artifact.upload"),
        ("DELETE", "artifact.delete"),
        ("HEAD", "artifact.list"),
        ("get", "artifact.download"),
        ("POST", "access.check"),
    ],
)
def test_the_method_is_the_action(method, action):
    assert combined(f'"{method} /x HTTP/1.1"').action == action


def test_what_was_no_request_is_kept_whole():
    event = combined(r'"\x16\x03\x01"', status="400", size="-")
    assert (event.action, event.resource, event.outcome) == ("access.check", Resource("endpoint", r"\x16\x03\x01"), "error")
    assert event.usage == Usage()


def test_secrets_do_not_enter_the_history():
    event = combined('"GET /x?a=1&X-Amz-Signature=s3cr&to=/y?auth=s3cr&b=2 HTTP/1.1"', more=' "https://r/?session=s3cr" "x"')
    assert event.attrs["query"] == "a=1&X-Amz-Signature=REDACTED&to=/y?auth=REDACTED&b=2"
    assert event.attrs["referrer"] == "https://r/?session=REDACTED"
    assert s3().attrs["referrer"] == "https://a/?token=REDACTED"


def test_a_hostile_query_takes_no_longer_than_its_length():
    # Of quadratic search this would be hours: the suite's time-out ends the test.
    event = combined('"GET /?' + "key" * 300_000 + ' HTTP/1.1"')
    assert event.attrs["query"] == "key" * 300_000


def test_bytes_that_are_no_text_are_written_out():
    event = COMBINED(b'203.0.113.9 - - [23/Nov/2026:04:00:01 +0000] "GET /\xff HTTP/1.1" 200 1 "-" "\xe9"\n')
    assert event.resource.id == r"/\xff"
    assert event.source is not None
    assert event.source.user_agent == r"\xe9"


def test_an_s3_line_field_by_field():
    assert s3(tail=" HOSTID SigV4 TLS_AES_128 AuthHeader weights.s3.amazonaws.com TLSv1.3 - -") == LogEvent(
        time="2026-11-23T04:00:00.000000Z",
        action="artifact.download",
        actor=Actor("arn:aws:iam::1:user/eva", "human"),
        resource=Resource("artifact", "s3://weights/models/a+b c.bin", version="v7", collection="s3://weights"),
        outcome="allowed",
        usage=Usage(bytes=77, objects=1),
        source=Source(ip="203.0.113.9", user_agent="aws-cli/2"),
        attrs={"operation": "REST.GET.OBJECT", "status": "200", "request_id": "REQ1", "referrer": "https://a/?token=REDACTED"},
    )


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("REST.PUT.OBJECT", "artifact.upload"),
        ("REST.COPY.OBJECT_GET", "artifact.copy"),
        ("BATCH.DELETE.OBJECT", "artifact.delete"),
        ("REST.GET.BUCKET", "artifact.list"),
        ("REST.PUT.ACL", "artifact.share"),
        ("REST.GET.LIFECYCLE", "access.check"),
    ],
)
def test_the_operation_is_the_action(operation, action):
    assert s3(operation).action == action


def test_an_upload_counts_the_objects_size_and_a_refusal_no_object():
    assert s3("REST.PUT.OBJECT", sent="-").usage == Usage(bytes=99)
    denied = s3(status="403", error="AccessDenied", sent="243")
    assert (denied.outcome, denied.usage, denied.attrs["error_code"]) == ("denied", Usage(bytes=243), "AccessDenied")


def test_who_is_unknown_and_who_is_a_service():
    assert s3(requester="-").actor == Actor("anonymous", "human")
    assert s3(requester="arn:aws:sts::1:assumed-role/train/x").actor.kind == "service"
    assert s3("REST.GET.BUCKET", key="-").resource == Resource("collection", "s3://weights", version="v7", collection="s3://weights")


def test_an_expiry_has_no_status_and_was_done():
    assert (s3("S3.EXPIRE.OBJECT", status="-").action, s3("S3.EXPIRE.OBJECT", status="-").outcome) == ("artifact.delete", "allowed")


FLAWED = {
    "no log at all": (COMBINED, b"hello\n"),
    "a month that is none": (COMBINED, b'h - - [23/Foo/2026:04:00:01 +0000] "GET / HTTP/1.1" 200 1\n'),
    "a count beyond all bounds": (COMBINED, b'h - - [23/Nov/2026:04:00:01 +0000] "GET / HTTP/1.1" 200 ' + b"9" * 400 + b"\n"),
    "cut off": (S3, b"owner weights [23/Nov/2026:04:00:00 +0000] 203.0.113.9 - R"),
    "no bucket": (S3, b'o - [23/Nov/2026:04:00:00 +0000] h r R OP k "-" 200 - 1 1 1 1 "-" "-" -\n'),
    "a status that is none": (S3, b'o w [23/Nov/2026:04:00:00 +0000] h r R OP k "-" 2000 - 1 1 1 1 "-" "-" -\n'),
}


@pytest.mark.parametrize("flaw", sorted(FLAWED))
def test_lines_named_after_their_flaw(flaw):
    parse, raw = FLAWED[flaw]
    with pytest.raises(LineRefused):
        parse(raw)
