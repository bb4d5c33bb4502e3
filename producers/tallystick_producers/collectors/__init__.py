"""Collectors: logs that others write, read line by line into signed events.

`log_format(name, mapping)` names the format, `Collector(...).collect(paths)` reads; places are kept in the recorder's spool.
"""

from .fields import LogEvent
from .formats import NAMES, LogFormat, log_format
from .mapping import RowMapping, load_mapping
from .rejected import RejectedFile
from .tail import Collector, Report

__all__ = ["NAMES", "Collector", "LogEvent", "LogFormat", "RejectedFile", "Report", "RowMapping", "load_mapping", "log_format"]
