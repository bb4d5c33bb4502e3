"""Orders and the events that give them: each is made of the other without loss, and any event is an order or none."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Event, encode_event, parse_event
from tallystick_schemas.messages import Lock
from tallystick_schemas.names import canonical
from tallystick_schemas.orders import Order, action_of, facts_of, order_of
from tallystick_schemas.signing import wire_time

PLACE = (1, 2, 3)
AT = wire_time(1_795_406_400.0)
COMMANDS = st.from_regex(r"[A-Za-z0-9._:-]{1,100}", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9@.-]{1,20}", fullmatch=True)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Any order that somebody can give."""
    state = draw(st.sampled_from(["locked", "unlocked"]))
    level = draw(st.sampled_from(["step-up", "suspend", "revoke"])) if state == "locked" else "suspend"
    suspending = state == "locked" and level != "revoke"
    lock = Lock(
        subject=f"{draw(st.sampled_from(['principal', 'credential']))}:{draw(NAMES)}",
        state=state,  # type: ignore[arg-type]  # one of the two
        command=draw(COMMANDS),
        reason=draw(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=50)),
        by=draw(NAMES),
        at=AT,
        until=draw(st.none() | st.just(wire_time(1_795_410_000.0))) if suspending else None,
        finding=draw(st.none() | COMMANDS),
        evidence=[PLACE],
        level=level,  # type: ignore[arg-type]  # one of the three
        drill=draw(st.none() | st.just("run-1")),
    )
    return Order(
        lock,
        confirm=suspending and draw(st.booleans()),
        principal=draw(st.none() | NAMES),
        withdraw=state == "unlocked" and draw(st.booleans()),
        replaces=draw(st.none() | COMMANDS),
        unseen=draw(st.booleans()),
        lifts=draw(st.none() | COMMANDS) if state == "unlocked" else None,
    )


def event_of(order: Order) -> Event:
    """The event as it is read from the history."""
    facts = facts_of(order)
    event = Event(1, to_base64url(bytes(16)), AT, facts.action, facts.actor, facts.resource, "allowed", facts.why, attrs=facts.attrs)
    return parse_event(encode_event(event))


@given(orders())
def test_an_order_is_what_its_event_says(order: Order) -> None:
    assume(canonical(order.lock.by) == order.lock.by and not order.lock.subject.partition(":")[2].startswith("drill-"))
    assert order_of(event_of(order), PLACE) == order


@given(
    orders(),
    st.dictionaries(st.sampled_from(["command", "until", "level", "confirm", "withdraw", "replaces", "lifts"]), st.text(max_size=20)),
)
def test_any_attributes_give_an_order(order: Order, attrs: dict[str, str]) -> None:
    facts = facts_of(order)
    event = Event(1, to_base64url(bytes(16)), AT, facts.action, facts.actor, facts.resource, "allowed", facts.why, attrs=attrs)
    found = order_of(event, PLACE)
    assert found is not None
    assert action_of(found.lock) == facts.action
    assert found.lifts is None or found.lock.state == "unlocked"
