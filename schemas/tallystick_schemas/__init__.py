"""The record format: events, segments, entries, checkpoints, and the fold that orders them. Pure: bytes and time in, values out."""

__version__ = "0.1.0"
