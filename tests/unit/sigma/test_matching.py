"""Selections and conditions on single events."""

import pytest
from tests.support.sigma import EXAMPLES, definition, plain, selection

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage
from tallystick_stream_jobs.sigma.fields import FIELDS, find_field
from tallystick_stream_jobs.sigma.predicates import actions_of

EVENT = Event(
    1,
    to_base64url(bytes(16)),
    "2026-01-01T00:00:00.000000Z",
    "artifact.download",
    Actor("Dave@example.org", "human", credential="cred-1", mfa=False, roles=["train", "Deploy"]),
    Resource("model", "acme/atlas", "3", "Model-1.safetensors\nx", "models", "restricted"),
    "allowed",
    usage=Usage(bytes=0, objects=7),
    source=Source(ip="10.1.2.3", user_agent="curl/8.5"),
    attrs={"canary": "true", "owner": "Dave@example.org", "empty": ""},
)


def holds(items: str) -> bool:
    return definition(selection(items)).window.rules[0].check()(EVENT)


@pytest.mark.parametrize(
    "items",
    [
        "{action: artifact.download}",
        "{action: ARTIFACT.download}",
        "{action|cased: artifact.download}",
        "{action: [x, artifact.download]}",
        "{action: artifact.*, outcome: allowed}",
        "{action: 'artifact.d?wnload'}",
        "{part|contains: SAFETENSORS}",
        "{part|startswith: model-}",
        "{part|endswith: 'x'}",
        "{part|contains|all: [model, safe, x]}",
        "{part|re: 'Model-[0-9]\\.safe'}",
        "{part|re|i: '^model'}",
        "{part|re|s: 'tensors.x$'}",
        "{part|re|m: '^x$'}",
        "{ip|cidr: 10.0.0.0/8}",
        "{ip|cidr: [192.168.0.0/16, 10.1.2.0/24]}",
        "{mfa|exists: true}",
        "{mfa: false}",
        "{why.ticket|exists: false}",
        "{why.ticket: null}",
        "{bytes: 0}",
        "{bytes|exists: true}",
        "{objects|gt: 6}",
        "{objects|gte: 7}",
        "{objects|lt: 8}",
        "{objects|lte: 7, objects|gte: 7}",
        "{version: 3}",
        "{canary: x, attrs.canary: true}".replace("canary: x, ", ""),
        "{attrs.empty: ''}",
        "{attrs.owner|fieldref: user}",
        "{roles: deploy}",
        "{roles|contains|all: [train, deploy]}",
        "{action|neq: artifact.read}",
        "[{action: x}, {action: artifact.download}]",
    ],
)
def test_holds(items: str) -> None:
    assert holds(items)


@pytest.mark.parametrize(
    "items",
    [
        "{action|cased: ARTIFACT.download}",
        "{action: artifact}",
        "{action: artifact.*, outcome: denied}",
        "{action: 'artifact.d?nload'}",
        "{part|contains|all: [model, nothing]}",
        "{part|re: '^model'}",
        "{part|re: 'tensors.x'}",
        "{part|re: '^x'}",
        "{part: 'Model-1.safetensors'}",
        "{ip|cidr: 10.2.0.0/16}",
        "{ip|cidr: '::/0'}",
        "{host|exists: true}",
        "{host: '*'}",
        "{host|re: '.*'}",
        "{host: ''}",
        "{tokens_in: 0}",
        "{tokens_in|lt: 5}",
        "{mfa: true}",
        "{bytes: null}",
        "{objects|gt: 7}",
        "{host|fieldref: device}",
        "{roles: dep}",
        "{action|neq: artifact.download}",
        "{user|cased: dave@example.org}",
    ],
)
def test_does_not_hold(items: str) -> None:
    """Above all: what is absent passes nothing but `null` and `exists: false`, although the store has '' and 0 there."""
    assert not holds(items)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("yes1", True),
        ("no1 or yes1", True),
        ("yes1 and no1", False),
        ("yes1 and not no1", True),
        ("not (yes1 and no1)", True),
        ("1 of no*", False),
        ("1 of them", True),
        ("all of yes*", True),
        ("all of them", False),
        ("yes1 and not 1 of no*", True),
        ("no1 or yes1 and no2", False),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    parts = "yes1: {action: artifact.download}\nyes2: {outcome: allowed}\nno1: {action: x}\nno2: {outcome: denied}\n"
    text = plain(f"{parts}condition: {condition}", more=EXAMPLES)
    assert definition(text).window.rules[0].check()(EVENT) is expected


@pytest.mark.parametrize(
    ("condition", "actions"),
    [
        ("read", {"artifact.read"}),
        ("read and out", {"artifact.read"}),
        ("read or some", {"artifact.read", "artifact.register", "artifact.retire"}),
        ("read and some", {"artifact.read"}),
        ("out", None),
        ("read or out", None),
        ("not read", None),
        ("out and not read", None),
    ],
)
def test_the_engine_is_told_which_actions_are_of_no_matter(condition: str, actions: set[str] | None) -> None:
    text = plain(
        f"read: {{action: artifact.read}}\nsome: {{action: artifact.re*}}\nout: {{outcome: denied}}\ncondition: {condition}", more=EXAMPLES
    )
    assert actions_of(definition(text).window.rules[0]) == actions


def test_no_name_means_two_fields() -> None:
    names = [name for field in FIELDS for name in (field.name, *field.aliases)]
    assert len(names) == len(set(names))
    assert find_field("attrs.anything") is not None
    assert find_field("attrs.") is find_field("attrs." + "x" * 65) is find_field("Image") is None


def test_every_field_can_be_read() -> None:
    bare = Event(1, EVENT.salt, EVENT.time, "artifact.list", Actor("a", "human"), Resource("model", "m"), "allowed")
    for field in FIELDS:
        value = field.reader()(bare)
        assert value is None or field.name in ("action", "outcome", "actor.principal", "actor.kind", "resource.kind", "resource.id")
