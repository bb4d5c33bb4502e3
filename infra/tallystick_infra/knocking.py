"""Whether a deployment's Kafka and ClickHouse answer, before anybody waits for a client library to find out."""

from typing import Literal

from tallystick_producers.answering import LOOK_S, ORDER_S, Unanswered, ask, of_clickhouse, of_kafka

from .deployment import Deployment
from .errors import NothingAnswers

Store = Literal["Kafka", "ClickHouse"]


def knock(deployment: Deployment, store: Store, so: str = "") -> None:
    """NothingAnswers, within seconds: the client libraries would try for minutes, and say less. `so`: what a slow answer must not prevent."""
    question = of_kafka(deployment.kafka()) if store == "Kafka" else of_clickhouse(deployment.clickhouse())
    try:
        ask(question, ORDER_S if so else LOOK_S)
    except Unanswered as error:
        raise NothingAnswers(store, ", ".join(question.addresses), so, silent=error.silent) from error
