"""Agents that misbehave, and files that are swapped: what a thief with a foothold beside an agent could do."""

import dataclasses
import hashlib
import secrets
import subprocess
import sys
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.encoding import Encoder
from tallystick_schemas.headers import Kind, SegmentHeader, encode_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.records import frame_record, pack_items, signed_bytes
from tallystick_schemas.segments import SegmentSigner, genesis_link, new_run
from tallystick_schemas.signing import wire_time

from ..deployment.keyfiles import read_key
from ..operator import record_sender
from .stage import Stage, part_names, write_part

HEARTBEAT_S = 1.0
"""Of the agent that falls silent: its three missed beats are over within seconds."""


def forge(stage: Stage, agent: str, count: int) -> None:
    """`count` segments in the agent's name, signed by a key that is not the one they name."""
    name = stage.principal(agent)
    public = read_key(stage.deployment.agent_key(name)).public_key().public_bytes_raw()
    stranger = Ed25519PrivateKey.generate()
    with record_sender(stage.deployment.kafka(), stage.deployment.log()) as sender:
        for number in range(count):
            sender.send(name, _forged(name, public, stranger, _event(stage, name, f"forged-{number}")))


def fork(stage: Stage, agent: str) -> None:
    """The agent's key signs two segments 0 of one run over other events: a copied key, used twice."""
    name = stage.principal(agent)
    key, run = read_key(stage.deployment.agent_key(name)), new_run(0, secrets.token_bytes(8))
    with record_sender(stage.deployment.kafka(), stage.deployment.log()) as sender:
        for holder in ("true", "copied"):
            sender.send(name, SegmentSigner(name, key, run).sign([_event(stage, name, holder)], wire_time(time.time())).record)


def fall_silent(stage: Stage, agent: str, stopping: threading.Event) -> None:
    """A process of the agent's that beats each second, killed with -9 after a few beats. Its neighbour in the shard beats on until the stage is left."""
    beating = dataclasses.replace(stage.deployment.agent(stage.witness(agent)), heartbeat_s=2 * HEARTBEAT_S)
    stage.witnesses.append(Recorder.open(beating))
    command = [sys.executable, "-m", "tallystick_infra.drills.lonely", str(stage.deployment.path), stage.principal(agent), str(HEARTBEAT_S)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        if child.stdout.readline() != b"heard\n":
            raise OSError(f"agent {agent} could not be started")
        stopping.wait(3 * HEARTBEAT_S)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def swap_files(stage: Stage, name: str) -> str:
    """Other bytes in every part of a dataset; the SHA-256 of what now stands for the whole."""
    material, folder, whole = stage.scenario.resources[name], stage.folder(name), hashlib.sha256()
    for part in part_names(material):
        temporary = folder / f".{part}.new"
        write_part(temporary, material.part_bytes, stage.random)
        temporary.replace(folder / part)
        whole.update((folder / part).read_bytes())
    return f"sha256:{whole.hexdigest()}"


def _event(stage: Stage, agent: str, what: str) -> bytes:
    attrs = {"said": what, **stage.attrs()}
    return Encoder().encode("agent.heartbeat", Actor(agent, "service"), Resource("agent", agent), "allowed", None, None, None, attrs, None)


def _forged(agent: str, public: bytes, stranger: Ed25519PrivateKey, event: bytes) -> bytes:
    run = new_run(0, secrets.token_bytes(8))
    root, prev = root_of(leaf_hashes([event])).hex(), genesis_link(agent, run, public).hex()
    header = encode_header(SegmentHeader(1, agent, key_id(public), run, 0, 0, 1, root, prev, wire_time(time.time())))
    return frame_record(Kind.SEGMENT, header, stranger.sign(signed_bytes(Kind.SEGMENT, header)), pack_items([event]))
