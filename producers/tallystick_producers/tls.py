"""Whom we trust over TLS, and who we are there: one reading of the settings for every client."""

import ssl

from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import KafkaSettings


def trusting(cafile: str | None, certfile: str | None = None, keyfile: str | None = None) -> ssl.SSLContext:
    """Trusts the authority in `cafile`, or those that this machine trusts; SettingsError for files that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=cafile or None)
        if certfile:
            context.load_cert_chain(certfile, keyfile)
    except OSError as error:  # what is no certificate is an SSLError, which is one
        files = ", ".join(one for one in (cafile, certfile, keyfile) if one)
        raise SettingsError([f"the certificates in {files} cannot be used: {error.strerror or error}"]) from error
    return context


def kafka_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """None where Kafka is spoken to without TLS."""
    if kafka.security_protocol not in ("SSL", "SASL_SSL"):
        return None
    return trusting(kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile)
