"""What the responder makes of an order that a signal gave: never more than a person's word, and never less than what stands."""

import pytest
from msgspec.structs import replace as changed
from tests.support.signals import ISS, NOW, Liar, decision

from tallystick_schemas.events import Event
from tallystick_schemas.orders import order_of
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.people import Situation, rule
from tallystick_stream_jobs.shared_signals import inbox
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings
from tallystick_stream_jobs.shared_signals.verify import Heard
from tallystick_stream_jobs.shared_signals.vocabulary import SESSION_REVOKED

ISSUER = IssuerSettings("idp", ISS, "us", jwks_file="f", lock=True, lock_domains=("example.org",))
SUBJECT = {"format": "email", "email": "mallory@example.org"}
END = wire_time(NOW + 3600)


def order():
    """As it comes out of the history."""
    claims = Liar.claims()
    heard = Heard(ISS, "jti-1", "", "", SESSION_REVOKED, claims["events"][SESSION_REVOKED], SUBJECT, int(NOW))
    made = inbox.order_of(heard, ISSUER, NOW)
    event = Event(1, "A" * 22, wire_time(NOW), made.action, outcome="allowed", **made.fields)
    found = order_of(event, (0, 1, 2))
    assert found is not None
    return found


def standing(until=None, level="suspend"):
    lock = decision(subject="principal:mallory@example.org", level=level).lock
    return changed(lock, until=until)


def ruled(lock=None, first=None, protected=""):
    return rule(order(), Situation(lock, first, protected, NOW, 600.0))


def test_it_locks_until_its_end():
    lock = ruled().lock
    assert (lock.subject, lock.state, lock.level, lock.until) == ("principal:mallory@example.org", "locked", "suspend", END)
    assert (lock.by, lock.command[:4]) == ("signals:idp", "set-")


@pytest.mark.parametrize("until", [None, wire_time(NOW + 7200), END])
def test_it_shortens_no_lock(until):
    """Otherwise an issuer could lift what people locked for good, by locking it for an hour."""
    ruling = ruled(standing(until))
    assert (ruling.lock, ruling.proposed) == (None, None)
    assert "for longer already" in ruling.reason


def test_it_makes_a_short_lock_longer_and_a_step_up_harder():
    assert ruled(standing(wire_time(NOW + 60))).lock.until == END
    lock = ruled(standing(None, "step-up")).lock
    assert (lock.level, lock.until) == ("suspend", None)


def test_a_lock_that_is_over_counts_for_nothing():
    assert ruled(standing(wire_time(NOW - 1))).lock.until == END
    assert ruled(changed(standing(), state="unlocked")).lock.until == END


def test_it_is_neither_the_first_nor_the_second_of_two_people():
    first = changed(decision("cmd-0", by="ann"), expires=wire_time(NOW + 600), proposed=standing(), lock=None)
    for waiting in (None, first):
        ruling = ruled(first=waiting, protected="mallory@example.org is protected: two people decide")
        assert (ruling.lock, ruling.proposed) == (None, None)
        assert "a signal from outside is neither of them" in ruling.reason


def test_what_was_revoked_stays_so():
    assert ruled(standing(None, "revoke")).lock is None
