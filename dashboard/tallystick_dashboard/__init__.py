"""The incident console: what analysts see of the history, and how they lock and unlock.

`run_console` is the process, `sign_in_link` makes the link that opens it, `ConsoleSettings` is section `[console]` of a deployment.
"""

from .settings import ConsoleSettings
from .used_links import read_secret, sign_in_link

__all__ = ["ConsoleSettings", "read_secret", "sign_in_link"]
