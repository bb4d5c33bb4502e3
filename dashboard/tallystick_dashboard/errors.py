"""Errors of the console.

TallystickError
└── ConsoleError
    ├── LinkRefused       a sign-in link that is forged, expired or used; says which
    ├── SecretMissing     the console's secret cannot be used; says what to do
    ├── BadOrder          a lock or unlock that lacks a subject or a reason; says what to change
    └── SourceUnavailable ClickHouse or Kafka did not answer; the page says so and goes on
"""

from tallystick_schemas.errors import TallystickError


class ConsoleError(TallystickError):
    """Base of what the console raises on purpose."""


class LinkRefused(ConsoleError):
    """A sign-in link that opens nothing. The message is shown to whoever followed it, so it holds no secret."""


class SecretMissing(ConsoleError):
    """The file with the console's secret is missing or too short."""


class SourceUnavailable(ConsoleError):
    """A store that did not answer."""


class BadOrder(ConsoleError):
    """An order that cannot be given as it stands; the message says what to change."""
