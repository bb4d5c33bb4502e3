"""Errors of connectors, by what is to be done about them. None of them holds a secret, a header, a body or a URL's path.

TallystickError
└── ConnectorError
    ├── Retry               it may work later: no answer, a time-out, 429, 5xx
    └── Refused             it won't work later either: a person has to mend something
        └── AddressRefused  our own guard: an address that we do not speak to
"""

from tallystick_schemas.errors import TallystickError


class ConnectorError(TallystickError):
    """A delivery did not succeed."""


class Retry(ConnectorError):
    """Try again. `after_s`: not before so many seconds, when the other side said so."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        self.after_s = after_s
        super().__init__(reason)


class Refused(ConnectorError):
    """Give up at once, and tell people."""


class AddressRefused(Refused):
    """The host is, or resolves to, an address that the guard does not let us speak to."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(
            f"{host} {reason}; nothing was sent. If it is yours and meant, set allow_private = true for this connector in connectors.toml"
        )
