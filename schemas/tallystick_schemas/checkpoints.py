"""Checkpoints (C2SP `tlog-checkpoint`): what the sealer signs about a log, and the topology records of the root log (SPEC section 7)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .encoding import from_base64, to_base64
from .errors import ParseError, SettingsError, VerificationError
from .keys import key_id
from .merkle import HASH_BYTES
from .notes import Verifier, open_note, sign_note
from .settings import LogSettings

TOPOLOGY_PREFIX: Final = b"tallystick/v1/topology\n"
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(NamedTuple):
    """A log as it stood: its name, how many leaves it had, and the root over them (32 bytes)."""

    origin: str
    size: int
    root: bytes


class Topology(msgspec.Struct, frozen=True):
    """A leaf of the root log: which shards exist, from this leaf on. `shards` are origins in the order of their numbers."""

    v: int
    generation: int
    shards: list[str]


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The three lines that are signed; no extension lines."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text, or ParseError."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise ParseError("a checkpoint is three lines: origin, size, root")
    return Checkpoint(lines[0], int(lines[1]), from_base64(lines[2], HASH_BYTES, "the checkpoint's root"))


def sign_checkpoint(checkpoint: Checkpoint, private_key: Ed25519PrivateKey) -> bytes:
    """The signed note. The key's name is the log's origin, as tlog-checkpoint asks."""
    return sign_note(checkpoint_text(checkpoint), checkpoint.origin, private_key)


def open_checkpoint(note: bytes, verifiers: Sequence[Verifier], origin: str) -> Checkpoint:
    """The checkpoint of the log `origin` in a note that one of `verifiers` signed; ParseError or VerificationError."""
    checkpoint = parse_checkpoint(open_note(note, verifiers))
    if checkpoint.origin != origin:
        raise VerificationError(f"the checkpoint is of {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint


def verifiers_of(log: LogSettings, origin: str, size: int = 0) -> tuple[Verifier, ...]:
    """The sealer keys that a deployment pins, under the name that they sign this log with: those that are believed for a root log of `size` leaves."""
    ends = sealer_ends(log)
    return tuple(Verifier(origin, public) for public in log.sealer_keys if ends.get(key_id(public), size) >= size)


def sealer_ends(log: LogSettings) -> dict[str, int]:
    """Key id -> size of the last root checkpoint that this sealer's key is believed for. SettingsError names an entry that says something else."""
    found = {}
    for text in log.sealer_ends:
        key, _, size = text.partition(" ")
        if not _SIZE.fullmatch(size) or key not in map(key_id, log.sealer_keys):
            raise SettingsError(
                [f"[log] sealer_ends has {text!r}: it must be the id of a key in sealer_keys, a space, and a number of leaves"]
            )
        found[key] = int(size)
    return found


_decoder: Final = msgspec.json.Decoder(Topology)
_encode: Final = msgspec.json.Encoder(order="sorted").encode


def encode_topology(topology: Topology) -> bytes:
    """The leaf's data."""
    return TOPOLOGY_PREFIX + _encode(topology)


def parse_topology(raw: bytes) -> Topology:
    """A topology record in its one form, or ParseError."""
    if not raw.startswith(TOPOLOGY_PREFIX):
        raise ParseError("not a topology record")
    try:
        topology = _decoder.decode(raw[len(TOPOLOGY_PREFIX) :])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a topology record: {error}") from error
    if encode_topology(topology) != raw or topology.v != 1:
        raise ParseError("the topology record is not version 1 in its one form")
    return topology
