"""What the sending half keeps of root checkpoints: the newest that it verified, with the sealer's signature, for the next segments."""

from dataclasses import replace
from pathlib import Path

from tests.support.history import private_key, public_bytes
from tests.support.recorder import agent_settings

from tallystick_producers.sending import Sending
from tallystick_producers.spool import Spool
from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.vouching import SeenRoot, note_of


def test_the_next_segments_carry_the_note_that_was_shown(tmp_path: Path) -> None:
    settings = agent_settings(tmp_path)
    log = replace(settings.log, sealer_keys=(public_bytes(private_key("sealer")),))
    spool = Spool(tmp_path / "spool")
    try:
        sending = Sending(replace(settings, log=log), spool, lambda: None)
        notes = {size: sign_checkpoint(Checkpoint(log.root_origin, size, bytes([size]) * 32), private_key("sealer")) for size in (3, 5)}
        forged = sign_checkpoint(Checkpoint(log.root_origin, 9, bytes(32)), private_key("mallory"))
        for note in (notes[5], notes[3], forged):
            sending.take_checkpoint(log.root_origin, note)
        assert sending.seen is not None
        assert note_of(SeenRoot.of(sending.seen), log.root_origin) == notes[5]
    finally:
        spool.close()
