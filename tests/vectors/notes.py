"""Signed notes, good and bad. `trusted` are verifier keys; `error` is parse (no note) or verification (a note that is not believed)."""

from tallystick_schemas.checkpoints import Checkpoint, checkpoint_text, sign_checkpoint
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.merkle import EMPTY_ROOT
from tallystick_schemas.notes import Verifier, sign_note

from .common import Json, NamedKey, provenance

SEALER, WITNESS, STRANGER = NamedKey("sealer"), NamedKey("witness"), NamedKey("stranger")
ORIGIN = "vectors/shard/0"
TEXT = checkpoint_text(Checkpoint(ORIGIN, 5120, bytes(range(32))))
NOTE = sign_note(TEXT, ORIGIN, SEALER.private)
SEALER_V, WITNESS_V = Verifier(ORIGIN, SEALER.public).encode(), Verifier("witness.example", WITNESS.public).encode()
_COSIGNED = NOTE + sign_note(TEXT, "witness.example", WITNESS.private)[len(TEXT) + 1 :]
_LINE = NOTE[len(TEXT) + 1 :].decode()
_WRONG = _LINE[:-4] + ("A" if _LINE[-4] != "A" else "B") + _LINE[-3:]
_GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
_GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
_GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


def _good(name: str, note: bytes, trusted: list[str], text: str = TEXT) -> Json:
    return {"name": name, "note": note.hex(), "trusted": trusted, "text": text}


def _bad(name: str, note: bytes, error: str, trusted: list[str] | None = None) -> Json:
    return {"name": name, "note": note.hex(), "trusted": trusted or [SEALER_V], "error": error}


def _good_notes() -> list[Json]:
    return [
        _good("checkpoint", NOTE, [SEALER_V]),
        _good("two-signatures", _COSIGNED, [SEALER_V, WITNESS_V]),
        _good("a-strangers-signature-is-passed-over", _COSIGNED, [SEALER_V]),
        _good("text-with-an-empty-line", sign_note("a\n\nb\n", ORIGIN, SEALER.private), [SEALER_V], "a\n\nb\n"),
        _good("go-note", f"{_GO_TEXT}\n\u2014 PeterNeumann {_GO_SIGNATURE}\n".encode(), [_GO_KEY], _GO_TEXT),
    ]


def _no_notes() -> list[Json]:
    return [
        _bad("empty", b"", "parse"),
        _bad("no-signature", TEXT.encode(), "parse"),
        _bad("no-newline-at-the-end", NOTE[:-1], "parse"),
        _bad("hyphen-for-the-dash", NOTE.replace("\u2014".encode(), b"-"), "parse"),
        _bad("signature-is-no-base64", NOTE.replace(_LINE[-5:].encode(), b"!!==\n"), "parse"),
        _bad("signature-of-4-bytes", f"{TEXT}\n\u2014 {ORIGIN} AAAAAA==\n".encode(), "parse"),
        _bad("control-character", NOTE.replace(b"5120", b"51\t20"), "parse"),
        _bad("not-utf-8", b"\xff" + NOTE, "parse"),
        _bad("101-signatures", (TEXT + "\n" + _LINE * 101).encode(), "parse"),
    ]


def _not_believed() -> list[Json]:
    return [
        _bad("text-changed", NOTE.replace(b"5120", b"5121"), "verification"),
        _bad("signature-changed", (TEXT + "\n" + _WRONG).encode(), "verification"),
        _bad("one-of-two-signatures-wrong", (TEXT + "\n" + _LINE + _WRONG).encode(), "verification"),
        _bad("signed-by-a-stranger", sign_note(TEXT, ORIGIN, STRANGER.private), "verification"),
        _bad("another-name", sign_note(TEXT, "vectors/shard/1", SEALER.private), "verification"),
    ]


def _checkpoints() -> list[Json]:
    return [
        {
            "origin": origin,
            "size": size,
            "root": value.hex(),
            "note": sign_checkpoint(Checkpoint(origin, size, value), SEALER.private).hex(),
        }
        for origin, size, value in ((ORIGIN, 0, EMPTY_ROOT), (ORIGIN, 1, bytes(32)), ("vectors/root", 2**62, b"\xff" * 32))
    ]


def _bad_checkpoint_texts() -> list[Json]:
    root = to_base64(bytes(32))
    return [
        {"name": "no-root", "text": "o\n1\n"},
        {"name": "leading-zero", "text": f"o\n01\n{root}\n"},
        {"name": "negative-size", "text": f"o\n-1\n{root}\n"},
        {"name": "size-of-20-digits", "text": f"o\n{10**19}\n{root}\n"},
        {"name": "root-of-31-bytes", "text": f"o\n1\n{to_base64(bytes(31))}\n"},
        {"name": "root-with-unused-bits", "text": f"o\n1\n{root[:-2]}B=\n"},
        {"name": "no-origin", "text": f"\n1\n{root}\n"},
        {"name": "extension-line", "text": f"o\n1\n{root}\nmore\n"},
        {"name": "no-newline-at-the-end", "text": f"o\n1\n{root}"},
    ]


def build() -> Json:
    return {
        "provenance": provenance(
            "C2SP signed-note and tlog-checkpoint, Ed25519 (type 0x01).",
            ["go-note: the example in the documentation of golang.org/x/mod/sumdb/note."],
        ),
        "keys": [key.to_json() for key in (SEALER, WITNESS, STRANGER)],
        "verifiers": {"sealer": SEALER_V, "witness": WITNESS_V},
        "good": _good_notes(),
        "bad": _no_notes() + _not_believed(),
        "checkpoints": _checkpoints(),
        "bad_checkpoint_texts": _bad_checkpoint_texts(),
    }
