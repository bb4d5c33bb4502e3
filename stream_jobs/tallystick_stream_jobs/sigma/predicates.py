"""Conditions on one event: and, or, not over tests, as a function of the event and as SQL."""

from collections.abc import Callable
from dataclasses import dataclass

from tallystick_schemas.events import Event
from tallystick_schemas.vocabulary import ACTIONS

from .fields import Field
from .matching import Bind, FieldTest, SameAs

Check = Callable[[Event], bool]


@dataclass(frozen=True)
class Match:
    """A field passes a test."""

    field: Field
    test: FieldTest | SameAs

    def check(self) -> Check:
        read = self.field.reader()
        if isinstance(self.test, SameAs):
            other = self.test.other.reader()
            return lambda event: read(event) is not None and read(event) == other(event)
        holds = self.test.holds
        return lambda event: holds(read(event))

    def sql(self, bind: Bind) -> str:
        return self.test.sql(self.field, bind)


@dataclass(frozen=True)
class Every:
    parts: tuple["Predicate", ...]

    def check(self) -> Check:
        checks = tuple(part.check() for part in self.parts)

        def every(event: Event) -> bool:
            for check in checks:  # noqa: SIM110 - all() with a generator takes three times as long, and this is asked of every event
                if not check(event):
                    return False
            return True

        return every

    def sql(self, bind: Bind) -> str:
        return "(" + " AND ".join(part.sql(bind) for part in self.parts) + ")"


@dataclass(frozen=True)
class Some:
    parts: tuple["Predicate", ...]

    def check(self) -> Check:
        checks = tuple(part.check() for part in self.parts)

        def some(event: Event) -> bool:
            for check in checks:  # noqa: SIM110 - as above
                if check(event):
                    return True
            return False

        return some

    def sql(self, bind: Bind) -> str:
        return "(" + " OR ".join(part.sql(bind) for part in self.parts) + ")"


@dataclass(frozen=True)
class Not:
    part: "Predicate"

    def check(self) -> Check:
        check = self.part.check()
        return lambda event: not check(event)

    def sql(self, bind: Bind) -> str:
        return f"NOT ({self.part.sql(bind)})"


Predicate = Match | Every | Some | Not


def actions_of(predicate: Predicate) -> frozenset[str] | None:
    """Actions without which it cannot hold; None where it does not depend on them alone."""
    if isinstance(predicate, Match):
        if predicate.field.name != "action" or isinstance(predicate.test, SameAs):
            return None
        return frozenset(filter(predicate.test.holds, ACTIONS))
    if isinstance(predicate, Not):
        return None
    parts = [actions_of(part) for part in predicate.parts]
    known = [part for part in parts if part is not None]
    if isinstance(predicate, Every):
        return frozenset.intersection(*known) if known else None
    return frozenset().union(*known) if len(known) == len(parts) else None
