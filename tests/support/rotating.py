"""A history whose deployment pins two operators and two sealers: the first of each, and the one that follows it."""

from dataclasses import replace
from typing import Any

from tests.support.history import HistoryBuilder, private_key, public_bytes

from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.signing import sign_record

NAMES = ("operator", "operator-2", "sealer", "sealer-2")
PUBLIC = {name: public_bytes(private_key(name)) for name in NAMES}
KEY = {name: key_id(public) for name, public in PUBLIC.items()}
TIME = "2026-11-23T04:00:00.000000Z"


def said(signer: str, about: str, subject: str, value: dict[str, Any] | None = None, n: int = 0) -> bytes:
    """A directive by one of the operators."""
    return sign_record(Directive(1, KEY[signer], TIME, about, subject, n, value or {}), private_key(signer))


def rotating(shards: int = 1, level: int = 3) -> HistoryBuilder:
    """The first operator and the first sealer are at work."""
    builder = HistoryBuilder(shards, generations=False)
    log = replace(
        builder.history.log, operator_keys=(PUBLIC["operator"], PUBLIC["operator-2"]), sealer_keys=(PUBLIC["sealer"], PUBLIC["sealer-2"])
    )
    builder.history.log = log
    builder.folds = [Fold(Parameters.of(shard, log.origin(shard), log.operator_keys, log.sealer_keys)) for shard in range(shards)]
    for shard in range(shards):
        builder.generation(shard, 0, -1)
        builder.record(shard, said("operator", "rules", "", {"level": level}))
    return builder


def by(builder: HistoryBuilder, *, operator: str = "", sealer: str = "") -> HistoryBuilder:
    """From here on these keys sign."""
    builder.operator = private_key(operator) if operator else builder.operator
    builder.sealer = private_key(sealer) if sealer else builder.sealer
    return builder
