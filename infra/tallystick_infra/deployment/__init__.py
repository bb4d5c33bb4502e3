"""A deployment is a directory: its settings, keys, stores and spools. Deleting it is uninstalling."""

from .directory import Deployment, default_data
from .runfile import RunFile, read_run

__all__ = ["Deployment", "RunFile", "default_data", "read_run"]
