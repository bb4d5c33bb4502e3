"""What is looked at before an order is given: whether there is anything to lift, for one. An order that means nobody is not written."""

import time

from ..deployment import Deployment
from ..errors import NotLocked

NEWEST = 2_000
"""Decisions that are read, from the newest back: what waits for a second person waits for half an hour."""


def must_be_locked(deployment: Deployment, subject: str) -> None:
    """NotLocked when no lock of `subject` is in force and no order about it waits. It is asked once, before the order is sent: an order that is sent
    again under its command id finds its own work done and stays fine."""
    from tallystick_schemas.notices import pending
    from tallystick_stream_jobs.responder.client import read_locks
    from tallystick_stream_jobs.responder.policy import holds
    from tallystick_stream_jobs.responder.topics import read_decisions

    kafka, now = deployment.kafka(), time.time()
    held = sorted(lock.subject for lock in read_locks(kafka) if holds(lock, now))
    if subject not in held and all(one.subject != subject for one in pending(read_decisions(kafka, NEWEST), now)):
        raise NotLocked(subject, held)
