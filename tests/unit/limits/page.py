"""Writes `docs/limits.md` from the table: `python -m tests.unit.limits.page`."""

from typing import Final

from tests.support.pages import ROOT

from .handlers import HANDLERS

PATH: Final = ROOT / "docs" / "limits.md"
_HEAD: Final = """# What reading costs

Parsers that bytes from outside reach, most of them before anybody vouched for these; whose bytes they are, and where it stops. A test makes this page, and
runs each parser on the inputs that would cost it most ([tests/unit/limits](../tests/unit/limits)): eight times the bytes, and the CPU must grow less than half
as far as a square would. Change it with `python -m tests.unit.limits.page`. What requests, connections and refusals cost is on
[the operator's page](operator.md#what-a-stranger-may-cost), batches of Kafka [there too](operator.md#limits-of-what-is-read-from-kafka).

| read | bytes come from | at most | inputs that are tried |
|---|---|---|---|
"""
_NOT: Final = """
Not tried by this test: what the store's engine does with a statement that it was given, which the engine alone can bound; what becomes of a message once it is
read (a finding's evidence is asked for, a policy compared); the console's sockets, whose messages go the way of its callbacks; answers of Vault and Keycloak
beyond their JSON; and heads of other systems' answers, which the HTTP library reads up to 100 KB.
"""


def build() -> str:
    """The page."""
    rows = (f"| {one.name} | {one.who} | {one.bound} | {', '.join(one.shapes)} |\n" for one in HANDLERS)
    return _HEAD + "".join(rows) + _NOT


if __name__ == "__main__":
    PATH.write_text(build())
