"""Whatever somebody sends as a token or a key set: what it says, or the one error for it."""

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from tests.support.signals import AUD, ISS, NOW, Liar, decision

from tallystick_schemas.errors import ParseError
from tallystick_stream_jobs.shared_signals.errors import SetRefused, StreamRefused
from tallystick_stream_jobs.shared_signals.events import happenings
from tallystick_stream_jobs.shared_signals.inbox import news_of, order_of
from tallystick_stream_jobs.shared_signals.jwks import parse_jwks
from tallystick_stream_jobs.shared_signals.sets import claims_of, sign
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings
from tallystick_stream_jobs.shared_signals.streams import created
from tallystick_stream_jobs.shared_signals.subjects import check_simple, principal_of
from tallystick_stream_jobs.shared_signals.verify import Heard, check_set
from tallystick_stream_jobs.shared_signals.vocabulary import POLL, PUSH

LIAR = Liar.new()
KEYS = parse_jwks(json.dumps({"keys": [LIAR.key.public()]}).encode())
ISSUER = IssuerSettings("idp", ISS, AUD, jwks_file="f", lock=True, lock_domains=("*",))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=600)
"""What can stand in an event: the format has neither NUL nor lone surrogates."""
NAMES = st.sampled_from(["iss", "aud", "jti", "iat", "events", "sub_id", "txn"])


def key_of(kid):
    if kid not in KEYS:
        raise SetRefused("invalid_key", "unknown")
    return KEYS[kid]


def check(token):
    """What a token says, or None; any other exception is a failure. What holds can be written down."""
    with contextlib.suppress(SetRefused):
        heard = check_set(token, ISSUER, key_of, NOW, 86_400.0)
        assert isinstance(heard, Heard)
        news_of(heard, ISSUER)
        order_of(heard, ISSUER, NOW)
        return heard
    return None


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(b".".join))
def test_any_bytes(raw):
    assert check(raw) is None


@given(st.dictionaries(NAMES, JSON, max_size=3))
@settings(max_examples=100)
def test_any_claims_under_a_good_signature(bent):
    check(LIAR.token({**Liar.claims(), **bent}))


@given(st.dictionaries(st.sampled_from(["event_timestamp", "reason_admin", "change_type", "subject"]), JSON, max_size=3), JSON)
@settings(max_examples=100)
def test_any_event_and_subject(payload, subject):
    event = next(iter(Liar.claims()["events"]))
    check(LIAR.token(Liar.claims(events={event: {"event_timestamp": int(NOW), **payload}}, sub_id=subject)))


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_under_a_good_signature(payload):
    header = {"alg": "RS256", "typ": "secevent+jwt", "kid": LIAR.key.kid}
    check(jws.serialize_compact(header, payload, LIAR.key.private(), algorithms=["RS256"]).encode())


@given(st.data())
@settings(max_examples=100)
def test_one_changed_byte_is_never_taken(data):
    token = bytearray(LIAR.token())
    place = data.draw(st.integers(0, len(token) - 1))
    token[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != token[place]))
    heard = check(bytes(token))
    # The last character of a part may hold bits that nobody reads (RFC 4648, 3.5): then it is the same token.
    assert heard is None or heard.jti == "jti-1"


@given(
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"keys": [value]}).encode())
)
def test_any_key_set(raw):
    with contextlib.suppress(ParseError):
        assert isinstance(parse_jwks(raw), dict)


@given(
    st.dictionaries(
        st.sampled_from(["kty", "kid", "n", "e", "x", "y", "crv", "use"]),
        st.sampled_from(["RSA", "EC", "OKP", "AQAB", "P-256", "", "=", "a"]) | JSON,
    )
)
def test_any_key(key):
    with contextlib.suppress(ParseError):
        assert isinstance(parse_jwks(json.dumps({"keys": [key]}).encode()), dict)


@given(JSON)
def test_any_subject(subject):
    name = principal_of(subject, ISS)
    assert name is None or isinstance(name, str)
    with contextlib.suppress(StreamRefused):
        assert check_simple(subject) == subject


@given(st.dictionaries(st.sampled_from(["events_requested", "delivery", "description"]), JSON))
def test_any_stream(request):
    with contextlib.suppress(StreamRefused):
        stream = created("s", "r", request)
        assert (stream.id, stream.receiver, stream.method in (PUSH, POLL)) == ("s", "r", True)


@given(
    TEXT.map(lambda text: text[:60]).filter(bool),
    st.sampled_from(["principal", "credential"]),
    st.sampled_from(["ssf", "okta", "google"]),
    TEXT,
)
@settings(max_examples=100)
def test_whatever_we_tell_can_be_heard(name, kind, profile, reason):
    for one in happenings(decision(subject=f"{kind}:{name}", reason=reason), ISS):
        heard = check(sign(claims_of(one, iss=ISS, aud=AUD, stream="s", profile=profile), LIAR.key).encode())
        assert heard is not None
        assert (heard.event, heard.txn, heard.at) == (one.event, "cmd-1", int(NOW))
        if kind == "principal":
            assert principal_of(heard.subject, ISS) == name
