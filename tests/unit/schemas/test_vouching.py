"""`seen` with a signature: it proves itself, and whatever stands in its place, the fold judges the segment as it always did (ADR 0032)."""

import msgspec
import pytest
from tests.support.history import HistoryBuilder, private_key, public_bytes

from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint, verifiers_of
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.headers import Kind, Seen, SegmentHeader, encode_header, parse_header
from tallystick_schemas.notes import signature_by
from tallystick_schemas.records import frame_record, pack_items, parse_record, signed_bytes
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.verdicts import Verdict
from tallystick_schemas.vouching import SeenRoot, is_signed, note_of, vouch

LOG = LogSettings("test", 1, (), (public_bytes(private_key("sealer")),))
ORIGIN = LOG.root_origin
VERIFIERS = verifiers_of(LOG, ORIGIN)
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 7, b"\x0f" * 32), private_key("sealer"))


def test_what_an_agent_vouches_for_is_the_note_that_it_was_shown() -> None:
    seen = vouch(NOTE, LOG)
    assert (seen.size, seen.root) == (7, "0f" * 32)
    assert note_of(SeenRoot.of(seen), ORIGIN) == NOTE
    assert is_signed(SeenRoot.of(seen), VERIFIERS, ORIGIN)


def test_a_second_signature_changes_nothing() -> None:
    """A witness's line stands first."""
    witness = sign_checkpoint(Checkpoint(ORIGIN, 7, b"\x0f" * 32), private_key("witness")).split(b"\n\n")[1]
    head, own = NOTE.split(b"\n\n")
    assert note_of(SeenRoot.of(vouch(head + b"\n\n" + witness + own, LOG)), ORIGIN) == NOTE


def test_a_note_without_a_trusted_line_has_no_signature() -> None:
    with pytest.raises(ParseError, match="no signature line"):
        signature_by(sign_checkpoint(Checkpoint(ORIGIN, 7, b"\x0f" * 32), private_key("other")), VERIFIERS)


@pytest.mark.parametrize("name", ["size", "root", "origin", "key", "flipped", "none"])
def test_what_the_sealer_did_not_sign_is_not_signed(name: str) -> None:
    good = vouch(NOTE, LOG)
    text = good.signature
    assert text is not None
    flipped = msgspec.Raw(b'"%s"' % text.replace(text[20], "A" if text[20] != "A" else "B").encode())
    made = {
        "size": Seen(8, good.root, good.sig),
        "root": Seen(7, "1f" * 32, good.sig),
        "flipped": Seen(7, good.root, flipped),
        "none": Seen(7, good.root),
    }
    verifiers = verifiers_of(LogSettings("test", 1, (), (public_bytes(private_key("other")),)), ORIGIN) if name == "key" else VERIFIERS
    assert not is_signed(SeenRoot.of(made.get(name, good)), verifiers, "other/root" if name == "origin" else ORIGIN)


def test_a_note_of_another_key_is_vouched_for_by_nobody() -> None:
    with pytest.raises(VerificationError):
        vouch(sign_checkpoint(Checkpoint(ORIGIN, 7, b"\x0f" * 32), private_key("other")), LOG)


ANYTHING = [
    b'"AAAA"',
    b'"%s="' % (b"A" * 91),
    b"null",
    b"true",
    b"-0.0",
    b"1e999",
    b"9" * 1500,
    b"[1,[2,[3]]]",
    b"[" * 6 + b"]" * 6,
    b"[" * 7 + b"]" * 7,
    b'{"a":1,"a":2}',
    b'{"a":{"b":"\\u0000"}}',
    b'"\\ud800"',
    b'"\xff"',
    b'"caf\\u00e9"',
    b"NaN",
    b"[1,",
]


@pytest.mark.parametrize("value", ANYTHING, ids=[repr(one[:20]) for one in ANYTHING])
@pytest.mark.parametrize("level", [1, 2])
def test_the_fold_judges_it_like_a_field_that_nobody_knows(value: bytes, level: int) -> None:
    """Every reader of before passed over an unknown member: one that knows `sig` must not judge otherwise."""
    verdicts = {name: _verdict(b',"%s":%s' % (name, value), level) for name in (b"sig", b"gis")}
    assert verdicts[b"sig"] == verdicts[b"gis"]
    if value.startswith(b'"A'):
        assert verdicts[b"sig"] == Verdict.ACCEPTED


def test_a_signature_stands_in_a_header_as_it_was_written() -> None:
    """Else each one would cost the slow search for what two parsers read differently."""
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    record = parse_record(agent.signer.sign(builder.events(1), "2026-11-23T04:00:00.000000Z", vouch(NOTE, LOG)).record)
    header = parse_header(Kind.SEGMENT, record.header_raw)
    assert isinstance(header, SegmentHeader)
    assert header.seen is not None
    assert note_of(SeenRoot.of(header.seen), ORIGIN) == NOTE
    assert encode_header(header) == record.header_raw


def _verdict(member: bytes, level: int) -> Verdict:
    builder = HistoryBuilder(1)
    if level > 1:
        builder.directive(0, "rules", "", {"level": level})
    agent = builder.enrol("gw", 0)
    events = builder.events(1)
    signed = parse_record(agent.signer.sign(events, "2026-11-23T04:00:00.000000Z", Seen(7, "0f" * 32)).record)
    header = signed.header_raw.replace(b'"%s"}' % (b"0f" * 32), b'"%s"%s}' % (b"0f" * 32, member))
    assert member in header
    signature = agent.key.sign(signed_bytes(Kind.SEGMENT, header))
    return builder.record(0, frame_record(Kind.SEGMENT, header, signature, pack_items(events))).entry.verdict
