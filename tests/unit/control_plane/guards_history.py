"""Guards of the history: verdicts of the fold, checkpoints, snapshots, the sealer's state, token and key files."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace
from tests.support.signing import key_of, public_of

from tallystick_producers import keyfile, sending
from tallystick_producers.errors import KeyFileError
from tallystick_producers.gateway import token_file
from tallystick_producers.gateway.token_file import TokenFile
from tallystick_producers.gateway.tokens import TokenBook, token_record
from tallystick_producers.sending import Sending
from tallystick_schemas import judge
from tallystick_schemas.checkpoints import Checkpoint, parse_checkpoint
from tallystick_schemas.envelope import Claim, Signer, parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Seen
from tallystick_schemas.keys import key_id
from tallystick_schemas.notes import parse_note
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.state import Agent, Key, State
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.notary import restore
from tallystick_stream_jobs.notary.ledger import StoredEntry
from tallystick_stream_jobs.notary.snapshots import PLACE, SNAPSHOT_SIGNERS
from tallystick_stream_jobs.sealer import sealer
from tallystick_stream_jobs.sealer import state as sealer_state
from tallystick_stream_jobs.sealer.core import LogState
from tallystick_stream_jobs.sealer.kept import KeptNotes
from tallystick_stream_jobs.sealer.state import StateFile

from .guards import Guard, instead, together, wrapped
from .guards_envelope import ROLES

STRANGERS: Final = {key_id(public_of(name)): public_of(name) for name in ("gw", "mallory", "other")}


def _enrolling(before: Callable[..., Any]) -> Callable[..., Any]:
    def signer(pinned: Any, state: State, record: Any) -> Any:
        found, header = before(pinned, state, record), record.header
        if found is Verdict.UNKNOWN_KEY:
            found = STRANGERS[header.key]
            state.agents.setdefault(header.agent, Agent({}, {})).keys[header.key] = Key(found, active=True)
        return found

    return signer


def _never(verdict: Verdict) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A fold that accepts what it would have given this verdict for its place."""

    def change(before: Callable[..., Any]) -> Callable[..., Any]:
        def place(*said: Any) -> tuple[Verdict, str]:
            found = before(*said)
            return (Verdict.ACCEPTED, "") if found[0] is verdict else found

        return place

    return change


def _unverified(note: bytes, *_: Any) -> Seen:
    checkpoint = parse_checkpoint(parse_note(note).text)
    return Seen(checkpoint.size, checkpoint.root.hex())


def _any_origin(before: Callable[..., Seen]) -> Callable[..., Seen]:
    def vouched(note: bytes, log: LogSettings) -> Seen:
        origin = parse_checkpoint(parse_note(note).text).origin
        return before(note, dataclasses.replace(log, deployment=origin.removesuffix("/root")))

    return vouched


def _forgetting(before: Callable[..., None]) -> Callable[..., None]:
    def take(self: Sending, *said: Any) -> None:
        known, self.seen = self.seen, None
        before(self, *said)
        self.seen = self.seen or known

    return take


def _on(known: LogState, rows: Iterable[StoredEntry]) -> LogState:
    frontier, last = known.frontier(), None
    for last in rows:
        frontier.append(last.leaf)
    return known if last is None else LogState(frontier.size, frontier.hashes, last.leaf, last.chain)


def _anyones(before: Callable[..., Any]) -> Callable[..., Any]:
    def load(self: StateFile) -> Any:
        state = before(self)
        return None if state is None else replace(state, deployment="test")

    return load


def _anew(before: Callable[..., Any]) -> Callable[..., Any]:
    def parse(raw: bytes) -> Any:
        try:
            return before(raw)
        except ParseError:
            return None

    return parse


def _any_key(before: Callable[..., bytes]) -> Callable[..., bytes]:
    """A process without a key makes itself one."""

    def read(path: Path) -> bytes:
        try:
            return before(path)
        except KeyFileError:
            pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            return key_of("mallory").private_bytes(*pem)

    return read


def _own_elsewhere(before: Callable[..., Claim]) -> Callable[..., Claim]:
    def own(self: Signer, *said: Any) -> Claim:
        try:
            return before(self, *said)
        except ParseError:
            return before(dataclasses.replace(self, deployment="other"), *said)

    return own


ENROLLED: Final = Guard("only a key that an operator enrolled", wrapped(judge, "_signer", _enrolling))
SEGMENT_SIGNATURE: Final = Guard("the segment's signature", instead(judge, "fits", lambda *_: True))
SEEN: Final = Guard("a segment's number counts once", wrapped(judge, "_place_segment", _never(Verdict.SEEN)))
GAPS: Final = Guard("the numbers of a run have no gap", wrapped(judge, "_place_segment", _never(Verdict.OUT_OF_ORDER)))
ONE_SEAL: Final = Guard("a seal's epoch counts once", wrapped(judge, "_place", _never(Verdict.SEEN)))
MALFORMED: Final = Guard(
    "what is no record is not accepted",
    instead(Verdict, "accepted", property(lambda self: self <= Verdict.OUT_OF_ORDER or self is Verdict.MALFORMED)),
)
PINNED: Final = Guard("the sealer's signature", instead(sending, "vouch", _unverified))
ORIGIN: Final = Guard("the checkpoint's origin", wrapped(sending, "vouch", _any_origin))
LARGEST: Final = Guard("the largest checkpoint stands", wrapped(Sending, "take_checkpoint", _forgetting))
SNAPSHOT_ROLE: Final = Guard("a notary's role", lambda: patch.dict(SNAPSHOT_SIGNERS, {PLACE: ROLES}))  # type: ignore[arg-type]  # a Mapping to others, and a dict
OWN_SNAPSHOT: Final = Guard("the notary's own signature", instead(Signer, "own", lambda _, *said: parse_claim(said[-1])))
OWN_DEPLOYMENT: Final = Guard("the deployment is signed", wrapped(Signer, "own", _own_elsewhere))
REFOLDED: Final = Guard("entries are folded again", instead(restore, "_refold", lambda *_: None))
SIGNED_PART: Final = Guard("what was signed is still in the store", instead(sealer, "check_signed_part", lambda *_: None))
CHAIN: Final = Guard("each row follows from the one before", instead(sealer, "extend", lambda _, known, rows: _on(known, rows)))
BEHIND: Final = Guard(
    "nobody holds a newer note of the sealer's key",
    together(
        instead(sealer, "beyond", lambda *_: None),
        instead(sealer, "newest_stored", lambda _, __, origin, known: iter([Checkpoint(origin, known, bytes(32))])),
    ),
)
KEPT: Final = Guard("a round follows from those that are kept", instead(KeptNotes, "append", lambda *_: None))
AHEAD: Final = Guard("no second root log over the one in the store", instead(sealer, "parting", lambda *_: None))
OWN_STATE: Final = Guard("the deployment of the sealer's state", wrapped(StateFile, "load", _anyones))
WHOLE_STATE: Final = Guard("a state that cannot be read ends the sealer", wrapped(sealer_state, "parse_sealer_state", _anew))
ONE_TOKEN: Final = Guard(
    "a token that stands twice is a fault",
    wrapped(TokenBook, "__init__", lambda before: lambda self, records, _=(): before(self, records)),
)
KNOWN_TOKEN: Final = Guard(
    "a token that is not there lets nobody in",
    wrapped(TokenBook, "find", lambda before: lambda self, token: before(self, token) or token_record(token, "eve", "human")),
)
ANYWHERE: Final = Guard(
    "a token counts wherever it stands",
    wrapped(
        TokenBook, "find", lambda before: lambda self, token: before(TokenBook({one.sha256: one for one in [*self.records()][:1]}), token)
    ),
)
GONE_FILE: Final = Guard(
    "a file that is gone lets nobody in",
    wrapped(TokenFile, "_reload", lambda before: lambda self, mark: None if mark is None else before(self, mark)),
)
PRIVATE_TOKENS: Final = Guard("a token file is its owner's alone", instead(token_file, "_check_private", lambda *_: None))
PRIVATE_KEY: Final = Guard("a key file is its owner's alone", instead(keyfile, "open_to_others", lambda *_: None))
OWN_KEY: Final = Guard("a process without its key ends", wrapped(keyfile, "read_private", _any_key))
