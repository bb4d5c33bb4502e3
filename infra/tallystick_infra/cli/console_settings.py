"""The console's settings from a deployment, and its sign-in links."""

import time

from tallystick_dashboard.settings import ConsoleSettings
from tallystick_dashboard.used_links import read_secret, sign_in_link
from tallystick_schemas.settings import build

from ..deployment import Deployment, read_run


def console_settings(deployment: Deployment) -> ConsoleSettings:
    """Section [console]; the secret and the state lie in the deployment."""
    given = {"secret_file": str(deployment.keys / "console.secret"), "state_dir": str(deployment.path / "console")}
    return build(ConsoleSettings, "console", deployment.console_table(), deployment.env, given)


def sign_in(deployment: Deployment) -> str:
    """A link that signs in once, within ten minutes."""
    settings, run = console_settings(deployment), read_run(deployment.path)
    base = settings.public_url or (run.console if run else f"http://{settings.host}:{settings.port}")
    return sign_in_link(read_secret(settings.secret_file), base, time.time())
