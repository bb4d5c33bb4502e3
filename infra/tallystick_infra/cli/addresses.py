"""Addresses of stores that are somebody else's: read as host:port, and knocked at before anything is kept or started."""

import re
from collections.abc import Sequence
from typing import Final

import click

from ..deployment import Deployment
from .common import Store, addresses_of, listens

_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]@,]+):([0-9]{1,5})")
_MAX_PORT: Final = 65_535


class Address(click.ParamType):
    """`host:port`, an IPv6 host in brackets."""

    name = "host:port"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address without blanks around it, or BadParameter."""
        found = _ADDRESS.fullmatch(value.strip())
        if found is None or not 0 < int(found[2]) <= _MAX_PORT:
            self.fail(f"{value[:100]!r} is not host:port, as in 127.0.0.1:9092; nothing was made.", param, ctx)
        return value.strip()


class Addresses(Address):
    """One or more of them, with commas between."""

    name = "host:port,…"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The addresses, or BadParameter for the first that is none."""
        return ",".join(super(Addresses, self).convert(one, param, ctx) for one in value.split(","))


def check_answers(option: str, store: Store, text: str | None) -> None:
    """BadParameter when an option names a store and nothing answers there: kept, the address would spoil the starts after this one too."""
    if text is not None and not _answers(text.split(",")):
        raise click.BadParameter(
            f"nothing answers at {text}; start {store} there first, or leave {option} out: the deployment then brings its own. Nothing was made.",
            param_hint=option,
        )


def away(deployment: Deployment) -> list[str]:
    """A sentence for each store of somebody else's that does not answer: the clients would try for half a minute, and say less."""
    ours = deployment.embedded()
    settings: tuple[tuple[Store, bool, str], ...] = (
        ("Kafka", ours.kafka, "[kafka] bootstrap"),
        ("ClickHouse", ours.clickhouse, "[clickhouse] host and port"),
    )
    places = [(store, setting, addresses_of(deployment, store)) for store, embedded, setting in settings if not embedded]
    return [
        f"nothing answers at {', '.join(addresses)}; start {store} there, or mend {setting} in {deployment.path / 'tallystick.toml'}"
        for store, setting, addresses in places
        if not _answers(addresses)
    ]


def _answers(addresses: Sequence[str]) -> bool:
    return any(listens(address) for address in addresses)
