"""Every HTTP server of ours: one home for what strangers may cost."""

from .limits import Limits
from .protocol import EXTENSION, Connection
from .server import Place, guarded_server

__all__ = ["EXTENSION", "Connection", "Limits", "Place", "guarded_server"]
