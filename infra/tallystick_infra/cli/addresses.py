"""Addresses of stores that are somebody else's: read as host:port, and knocked at before anything is kept or started."""

import re
from typing import Final

import click

from tallystick_producers.answering import Unanswered, ask, of_clickhouse, of_kafka
from tallystick_schemas.settings import ClickHouseSettings, KafkaSettings

from ..deployment import Deployment
from ..errors import NothingAnswers
from ..knocking import Store, knock

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
    if text is not None and not _is_there(store, text):
        raise click.BadParameter(
            f"nothing answers at {text}; start {store} there first, or leave {option} out: the deployment then brings its own. Nothing was made.",
            param_hint=option,
        )


def away(deployment: Deployment) -> list[str]:
    """A sentence for each store of somebody else's that does not answer: the clients would try for minutes, and say less."""
    ours = deployment.embedded()
    settings: tuple[tuple[Store, bool, str], ...] = (
        ("Kafka", ours.kafka, "[kafka] bootstrap"),
        ("ClickHouse", ours.clickhouse, "[clickhouse] host and port"),
    )
    found = []
    for store, embedded, setting in settings:
        try:
            if not embedded:
                knock(deployment, store)
        except NothingAnswers as error:
            place = deployment.path / "tallystick.toml"
            found.append(f"nothing answers at {error.address}; start {store} there, or mend {setting} in {place}")
    return found


def _is_there(store: Store, text: str) -> bool:
    """Whether somebody speaks at an address, or hangs up: he may speak TLS, of which an option says nothing."""
    host, _, port = text.rpartition(":")
    try:
        ask(of_kafka(KafkaSettings(text)) if store == "Kafka" else of_clickhouse(ClickHouseSettings(host, int(port))))
    except Unanswered as error:
        return error.hung_up
    return True
