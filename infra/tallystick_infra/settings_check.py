"""Every section of a deployment's settings, read as its own process would read it: what is wrong is known before anything starts."""

from collections.abc import Callable

from tallystick_schemas.errors import SettingsError, TallystickError
from tallystick_schemas.settings import build

from .deployment import Deployment


def mistakes(deployment: Deployment) -> list[str]:
    """What is wrong in tallystick.toml, connectors.toml and the environment; each mistake once, although several processes read some sections."""
    found: list[str] = []
    for read in _readers(deployment):
        try:
            read()
        except SettingsError as error:
            found += error.mistakes
        except TallystickError as error:  # a secret that is not there, or is open to others
            found.append(str(error))
    return list(dict.fromkeys(found))


def _readers(deployment: Deployment) -> tuple[Callable[[], object], ...]:
    from tallystick_stream_jobs.outbox.settings import OutboxSettings

    from .cli.console_settings import console_settings
    from .signals import signals_settings

    return (
        deployment.embedded,
        deployment.log,
        deployment.kafka,
        deployment.clickhouse,
        deployment.jobs,
        lambda: deployment.agent("cli"),
        deployment.gateway,
        lambda: console_settings(deployment),
        lambda: build(OutboxSettings, "outbox", deployment.outbox_table(), deployment.env),
        lambda: _connectors(deployment),
        lambda: signals_settings(deployment),
    )


def _connectors(deployment: Deployment) -> object:
    """After the sections: without the log's name no connector can be made."""
    from tallystick_stream_jobs.connectors.registry import load

    tables = deployment.connectors()
    return load(tables, deployment.secret, deployment.log().deployment) if tables else None
