"""Whom an order means elsewhere: a connector's table of names, and whom it must not hit under another name. Pure but for the list that it is given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tallystick_schemas.errors import SettingsError
from tallystick_schemas.messages import Delivery
from tallystick_schemas.names import canonical, same_principal

from .base import act_of, whose
from .errors import Refused

Protected = Callable[[], frozenset[str]]
"""The principals for whom two people are needed, as they are now."""


class Names:
    """Principal -> name there. Both spellings of one principal are one entry."""

    def __init__(self, connector: str, field: str, table: Mapping[str, str], protected: Protected) -> None:
        self._protected: Final = protected
        self._there: Final[dict[str, str]] = {}
        for principal, name in table.items():
            if self._there.setdefault(canonical(principal), name) != name:
                raise SettingsError([f"[{connector}] {field} names {principal!r} twice, in two spellings and with two values"])

    def there(self, principal: str) -> str | None:
        """What a principal is called there; None when the table does not say."""
        return self._there.get(canonical(principal))

    def guard(self, delivery: Delivery, found: Sequence[str], hits: Callable[[str], bool] = lambda _: False) -> None:
        """Refused when the account that was found, by the names it has there, is somebody's who needs two people and whom the order does not name.

        The responder protects by the order's own name, before anybody is looked up. `hits`: true for a principal who is that account by other rules.
        What shuts nothing passes: an unlock must always be possible.
        """
        if act_of(delivery) == "unlock":
            return
        named, own = {canonical(name) for name in found}, whose(delivery)
        named |= {principal for principal, name in self._there.items() if name in found}
        for principal in sorted(self._protected()):
            theirs = canonical(principal) in named or hits(principal)
            if theirs and not (own is not None and same_principal(own, principal)):
                raise Refused(
                    f"{found[0]!r} there is {principal!r}, who is protected, and {delivery.decision.subject} was ordered; "
                    f"nothing was done to it. Two people may order principal:{principal}"
                )
