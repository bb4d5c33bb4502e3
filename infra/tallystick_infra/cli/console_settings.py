"""The console's settings from a deployment, and its sign-in links."""

import getpass
import os
import time

import click

from tallystick_dashboard.settings import ConsoleSettings
from tallystick_dashboard.used_links import read_secret, sign_in_link
from tallystick_producers.public_url import check_public_url
from tallystick_schemas.settings import build

from ..deployment import Deployment, read_run


def console_settings(deployment: Deployment) -> ConsoleSettings:
    """Section [console]; the secret and the state lie in the deployment."""
    given = {"secret_file": str(deployment.keys / "console.secret"), "state_dir": str(deployment.path / "console")}
    settings = build(ConsoleSettings, "console", deployment.console_table(), deployment.env, given)
    check_public_url("console", settings.public_url)
    return settings


_MAX_NAME = 200


def login_name() -> str:
    """Who runs this command. A container's user may have no name: its number then, because a start must not fail over that."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"


def checked_name(name: str) -> str:
    """A name as acts will carry it; click.BadParameter when it is empty, too long, or cannot be read."""
    name = name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise click.BadParameter(f"{name[:40]!r} is no name: give 1 to {_MAX_NAME} characters that can be printed", param_hint="--as")
    return name


def sign_in(deployment: Deployment, who: str | None = None) -> str:
    """A link that signs `who` (whoever runs this, if not given) in once, within ten minutes; acts in the console are recorded as theirs."""
    settings, run = console_settings(deployment), read_run(deployment.path)
    base = settings.public_url or (run.console if run else f"http://{settings.host}:{settings.port}")
    return sign_in_link(read_secret(settings.secret_file), base, time.time(), checked_name(who or login_name()))
