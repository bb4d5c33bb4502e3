"""Finding R08: agents were shown a root checkpoint with the sealer's signature, and the store does not have it."""

import asyncio
from dataclasses import replace

import pytest
from tests.support.owning import SEALER, SETTINGS, Site
from tests.support.signing import OPERATOR, OPERATORS, key_of
from tests.unit.responder.test_owning import owner, tick

from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import RETIRE_KEY, Finding
from tallystick_schemas.signing import sign_record
from tallystick_schemas.vouching import SeenRoot, vouch
from tallystick_stream_jobs.responder.job import Responder
from tallystick_stream_jobs.responder.shown_roots import GRACE_S, Said

ORIGIN = SETTINGS.log.root_origin


SEALER_ID = key_id(SEALER)


def retirement(key: str) -> bytes:
    return sign_record(Directive(1, key_id(OPERATORS[0]), "2026-11-23T04:00:00.000000Z", "retire", key, 0, {}), OPERATOR)


def said(size: int, root: bytes, key: str = "sealer", index: int = 5) -> Said:
    private = key_of(key)
    note = sign_checkpoint(Checkpoint(ORIGIN, size, root * 32), private)
    return Said(
        SeenRoot.of(vouch(note, replace(SETTINGS.log, sealer_keys=(private.public_key().public_bytes_raw(),)))), 0, index, "trainer"
    )


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr("time.time", lambda: made.clock)
    return made


def found(site: Site) -> list[Finding]:
    return [one for one in site.findings() if one.detector == "R08"]


def look(made: Responder, site: Site, seconds: float, steps: int = 4) -> None:
    for _ in range(steps):
        site.clock += seconds / steps
        asyncio.run(made.watch(None, site.clock))


def began(site: Site) -> Responder:
    made = owner(site)
    tick(made, site)
    return made


def test_a_signed_checkpoint_that_the_store_does_not_have_pages_once(site: Site) -> None:
    made = began(site)
    site.shown, site.roots = [said(7, b"\1")], {(7, "02" * 32), (8, "01" * 32)}
    look(made, site, GRACE_S - 10)
    assert found(site) == []
    look(made, site, 40)
    assert len(found(site)) == 1
    site.shown.append(said(7, b"\1", index=9))
    look(made, site, GRACE_S * 2)
    [one] = found(site)
    assert (one.severity, one.act, one.evidence) == ("critical", "alert", [(0, 5, 0)])
    assert all(word in one.text for word in ("trainer", "7 leaves", "01" * 32))


def test_what_the_store_has_alarms_nobody(site: Site) -> None:
    made = began(site)
    site.shown, site.roots = [said(7, b"\1")], {(7, "01" * 32)}
    look(made, site, GRACE_S * 2)
    assert found(site) == []


def test_an_agents_word_alone_alarms_nobody(site: Site) -> None:
    made = began(site)
    site.shown = [said(7, b"\1", key="mallory"), Said(SeenRoot(7, "01" * 32, ""), 0, 6, "trainer")]
    look(made, site, GRACE_S * 2)
    assert found(site) == []


def test_a_retired_sealers_note_alarms_nobody(site: Site) -> None:
    site.locks.append((RETIRE_KEY + SEALER_ID.encode(), retirement(SEALER_ID)))
    made = began(site)
    site.shown = [said(7, b"\1")]
    look(made, site, GRACE_S * 2)
    assert found(site) == []


def test_a_store_that_gets_its_notes_back_within_a_minute_alarms_nobody(site: Site) -> None:
    made = began(site)
    site.shown = [said(7, b"\1")]
    look(made, site, GRACE_S - 10)
    site.roots = {(7, "01" * 32)}
    look(made, site, GRACE_S)
    assert found(site) == []


def test_without_the_store_nothing_is_forgotten(site: Site) -> None:
    made = began(site)
    site.shown, site.store_up = [said(7, b"\1")], False
    look(made, site, GRACE_S)
    site.store_up = True
    look(made, site, GRACE_S + 20)
    assert len(found(site)) == 1
