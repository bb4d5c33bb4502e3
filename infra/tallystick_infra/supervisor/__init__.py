"""Starts the parts of a deployment in order, keeps them running, stops them in the right order: `tallystick up`."""

from .run import Supervisor

__all__ = ["Supervisor"]
