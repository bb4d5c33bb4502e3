"""Whether a deployment's Kafka and ClickHouse answer, before anybody waits for a client library to find out."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

from tallystick_producers.answering import LOOK_S, ORDER_S, Unanswered, ask, of_clickhouse, of_kafka

from .deployment import Deployment
from .errors import NothingAnswers
from .terminal import echo

Store = Literal["Kafka", "ClickHouse"]


def knock(deployment: Deployment, store: Store, so: str = "") -> None:
    """NothingAnswers, within seconds: the client libraries would try for minutes, and say less.

    `so`: what a slow answer must not prevent. Who has such an order is told on standard error what it waits for, as soon as others would be refused.
    """
    question = of_kafka(deployment.kafka()) if store == "Kafka" else of_clickhouse(deployment.clickhouse())
    addresses = ", ".join(question.addresses)
    try:
        with _told(store, addresses) if so and ORDER_S > LOOK_S else nullcontext():
            ask(question, ORDER_S if so else LOOK_S)
    except Unanswered as error:
        raise NothingAnswers(store, addresses, so, silent=error.silent, full=error.full) from error


@contextmanager
def _told(store: Store, addresses: str) -> Iterator[None]:
    """Within it, a word when there is no answer after LOOK_S."""
    mend = f"waiting for it {ORDER_S - LOOK_S:g} s more; if its process was stopped, let it go on"
    waits = threading.Timer(LOOK_S, echo, [f"hint: {store}: nothing has answered yet at {addresses}; {mend}"], {"err": True})
    waits.daemon = True
    waits.start()
    try:
        yield
    finally:
        waits.cancel()
