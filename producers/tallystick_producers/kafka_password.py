"""The password of a broker's user, read from its file once: settings go on with it, and are never printed with it."""

import dataclasses
import logging
from pathlib import Path
from typing import Final

from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import KafkaSettings

from .keyfile import read_private

_SCRAM_LOG: Final = "kafka.net.sasl.scram"
_FALSE_ALARM: Final = "Exchanging credentials in the clear"


def with_password(kafka: KafkaSettings) -> KafkaSettings:
    """Settings that can connect. KeyFileError when the file is missing or open to others, SettingsError when it says nothing of use."""
    if kafka.sasl_password_file is None:
        return kafka
    if kafka.sasl_password is not None:
        raise SettingsError(["sasl_password and sasl_password_file are both set for Kafka; leave one of them out"])
    try:
        password = read_private(Path(kafka.sasl_password_file)).decode().strip()
    except UnicodeDecodeError as error:
        raise SettingsError([f"{kafka.sasl_password_file} holds no password in UTF-8"]) from error
    if not password:
        raise SettingsError([f"{kafka.sasl_password_file} is empty, and should hold the password of {kafka.sasl_username} at Kafka"])
    return dataclasses.replace(kafka, sasl_password=password, sasl_password_file=None)


def _is_true(record: logging.LogRecord) -> bool:
    """Not of SCRAM without TLS: kafka-python says at each connection that credentials go in the clear, and none do (RFC 5802, 3)."""
    return _FALSE_ALARM not in record.msg


logging.getLogger(_SCRAM_LOG).addFilter(_is_true)
