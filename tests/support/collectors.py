"""Logs for tests: lines whose `id` says which they are, and one pass over them through a recorder that reaches nobody."""

from pathlib import Path
from typing import Any

from tests.support.recorder import agent_settings, recorded_ids

from tallystick_producers import AgentSettings, Recorder
from tallystick_producers.collectors import Collector, LogFormat, RejectedFile, Report, RowMapping, log_format

TABLE: dict[str, Any] = {
    "time": "2026-11-23T04:00:00Z",
    "action": "artifact.read",
    "principal": "alice@example.org",
    "resource": {"kind": "model", "id": "models/atlas-7b"},
    "attrs": {"id": "{id}"},
}


def numbered() -> LogFormat:
    """JSON lines of which only `id` is read: `recorded_ids` then lists the lines that were recorded."""
    return log_format("jsonl", RowMapping(TABLE))


def line(number: object) -> bytes:
    return b'{"id":"%s"}\n' % str(number).encode()


def lines(*numbers: object) -> bytes:
    return b"".join(map(line, numbers))


class Machine:
    """One agent's collector; `restart` is a new process of it, with the spool of the old one."""

    def __init__(self, directory: Path, reading: LogFormat | None = None, *paths: Path | str) -> None:
        self.settings: AgentSettings = agent_settings(directory)
        self.reading = reading or numbered()
        self.paths = [str(path) for path in paths]
        self.rejected = RejectedFile(Path(self.settings.spool_dir))
        self.restart()

    def restart(self) -> None:
        self.close()
        self.recorder = Recorder.open(self.settings)
        self.collector = Collector(self.reading, self.recorder, self.recorder.encode, self.rejected)

    def collect(self) -> Report:
        """One pass; the report is of this pass alone."""
        self.collector.report = Report()
        return self.collector.collect(self.paths)

    def recorded(self) -> list[str]:
        """Which lines are in the spool, in order."""
        return recorded_ids(self.settings)

    def close(self) -> None:
        if hasattr(self, "recorder"):
            self.recorder.close()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
