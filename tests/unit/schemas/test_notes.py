"""Signed notes and checkpoints."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.checkpoints import (
    Checkpoint,
    Topology,
    encode_topology,
    open_checkpoint,
    parse_checkpoint,
    parse_topology,
    sign_checkpoint,
)
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.notes import Verifier, open_note, parse_note, parse_verifier, sign_note

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORIGIN = "example/shard/0"
CHECKPOINT = Checkpoint(ORIGIN, 5120, bytes(32))


def test_the_example_of_the_go_note_package():
    # Key, text and signature are the example of golang.org/x/mod/sumdb/note: another implementation's bytes.
    verifier = parse_verifier("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    note = f"{text}\n\u2014 PeterNeumann {signature}\n".encode()
    assert open_note(note, [verifier]) == text
    assert verifier.encode() == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_checkpoint_comes_back():
    note = sign_checkpoint(CHECKPOINT, KEY)
    assert open_checkpoint(note, [Verifier(ORIGIN, PUBLIC)], ORIGIN) == CHECKPOINT


@pytest.mark.parametrize("at", [0, 16, 21, 60, 100, 150])
def test_any_changed_byte_is_refused(at):
    note = bytearray(sign_checkpoint(CHECKPOINT, KEY))
    note[at] ^= 1
    with pytest.raises((VerificationError, ParseError)):
        open_checkpoint(bytes(note), [Verifier(ORIGIN, PUBLIC)], ORIGIN)


def test_another_key_or_origin_is_refused():
    note = sign_checkpoint(CHECKPOINT, KEY)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(VerificationError, match="no signature of a key"):
        open_checkpoint(note, [Verifier(ORIGIN, other)], ORIGIN)
    with pytest.raises(VerificationError, match="not of"):
        open_checkpoint(sign_note("x\n1\n" + "A" * 43 + "=\n", ORIGIN, KEY), [Verifier(ORIGIN, PUBLIC)], ORIGIN)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "o\n1\nAAAA\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 43 + "=\nmore\n",
    ],
    ids=["cut", "leading-zero", "negative", "short-root", "no-origin", "extension"],
)
def test_checkpoints_named_after_their_flaw(text):
    with pytest.raises(ParseError):
        parse_checkpoint(text)


def test_notes_without_signature_lines_are_refused():
    for raw in (b"", b"a\n", b"a\n\n", b"a\n\nno dash\n", b"a\n\n\xe2\x80\x94 k AAAA", b"\xff\n\n"):
        with pytest.raises(ParseError):
            parse_note(raw)


def test_topology_has_one_form():
    topology = Topology(1, 0, ["a", "b"])
    raw = encode_topology(topology)
    assert parse_topology(raw) == topology
    with pytest.raises(ParseError):
        parse_topology(raw.replace(b":", b": "))
