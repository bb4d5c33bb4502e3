"""The engine: chDB connections of one process, lent to one request at a time. chDB allows one process a path, and no fork once open.

Each connection is a session of its own: what `SET` sets on one holds for that one.
"""

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .statements import Statement, error_code


class EngineError(Exception):
    """What the engine said, with ClickHouse's code."""

    def __init__(self, text: str) -> None:
        at = text.find("Code: ")
        self.text = text[at:] if at >= 0 else text
        self.code = error_code(text)
        super().__init__(self.text)


class Engine:
    """`size` connections: so many statements run at once, the others wait in line. As many again for restricted sessions, if there are any."""

    def __init__(self, path: Path, size: int = 6, restricted: Sequence[str] = ()) -> None:
        """`restricted` are the SET statements with which a restricted session begins; without them there is none."""
        from chdb.state.sqlitelike import Connection  # late: it reads TMPDIR, which the server sets first

        self._all = [Connection(str(path)) for _ in range(size)]
        self._idle = _pool(self._all)
        bound = [Connection(str(path)) for _ in range(size if restricted else 0)]
        for connection in bound:
            for statement in restricted:
                _run(connection, statement)
        self._idle_restricted = _pool(bound)
        self._all += bound

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    @contextmanager
    def _borrowed(self, database: str, *, restricted: bool) -> Iterator[Any]:
        idle = self._idle_restricted if restricted else self._idle
        connection, current = idle.get()
        try:
            if database != current:
                _run(connection, f"USE `{database}`")
                current = database
            yield connection
        finally:
            idle.put((connection, current))

    def execute(self, database: str, statement: Statement, *, restricted: bool = False) -> bytes:
        """An insert, or a statement whose result is small."""
        with self._borrowed(database, restricted=restricted) as connection:
            if statement.data is None:
                return _run(connection, statement.sql, statement.format, dict(statement.params))
            try:
                with connection.send_insert(statement.sql, statement.format) as inserter:
                    inserter.append(statement.data)
                    inserter.finish()
            except RuntimeError as error:  # chDB raises its own errors and plain ones
                raise EngineError(str(error)) from error
            return b""

    def stream(self, database: str, statement: Statement, *, restricted: bool = False) -> Iterator[bytes]:
        """A reading statement's result, in blocks as the engine makes them."""
        with self._borrowed(database, restricted=restricted) as connection:
            try:
                with connection.send_query(statement.sql, statement.format, params=dict(statement.params) or None) as result:
                    for block in result:
                        yield block.bytes()
            except RuntimeError as error:
                raise EngineError(str(error)) from error


def _pool(connections: Sequence[Any]) -> "queue.LifoQueue[tuple[Any, str]]":
    idle: queue.LifoQueue[tuple[Any, str]] = queue.LifoQueue()
    for connection in connections:
        idle.put((connection, "default"))
    return idle


def _run(connection: Any, sql: str, fmt: str = "TabSeparated", params: dict[str, str] | None = None) -> bytes:
    try:
        result: bytes = connection.query(sql, fmt, params=params or None).bytes()
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    return result
