"""The engine: chDB connections of one process, lent to one request at a time. chDB allows one process a path, and no fork once open.

Each connection is a session of its own: what `SET` sets on one holds for that one.
"""

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .access import ACCESS_FILE
from .grants import GRANTS, OWNER, Role
from .statements import Statement, error_code

_Pool = queue.LifoQueue[tuple[Any, str]]


class EngineError(Exception):
    """What the engine said, with ClickHouse's code."""

    def __init__(self, text: str) -> None:
        at = text.find("Code: ")
        self.text = text[at:] if at >= 0 else text
        self.code = error_code(text)
        super().__init__(self.text)


class Engine:
    """Connections of each role: as many statements of one run at once, the others wait in line.

    A connection takes its role when it is made and never another. A role that is not the owner reads on connections that are readonly, so that
    what it reads with can never write, and inserts on others.
    """

    def __init__(self, path: Path, database: str, reading: int = 6, writing: int = 3) -> None:
        """EngineError when the engine has no such roles, so that nobody is served by an engine that refuses nothing."""
        from chdb.state.sqlitelike import Connection  # late: it reads TMPDIR, which the server sets first

        self._all: list[Any] = []
        self._idle: dict[tuple[Role, bool], _Pool] = {}
        self.database = database

        def pool(role: Role, size: int, *more: str) -> _Pool:
            made = [Connection(f"{path}?config-file={ACCESS_FILE}") for _ in range(size)]
            self._all += made
            for connection in made:
                for statement in (f"SET ROLE {role}", *more):
                    _run(connection, statement)
            return _pool(made)

        self._idle[OWNER, False] = self._idle[OWNER, True] = pool(OWNER, writing)
        for role, grant in GRANTS.items():
            # 2, not 1: limits may be chosen, and the server looks at which (`asking.LIMITS`).
            self._idle[role, False] = pool(role, reading, "SET readonly = 2")
            if grant.inserts:
                self._idle[role, True] = pool(role, writing)

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    @contextmanager
    def _borrowed(self, role: Role, database: str, *, reads: bool) -> Iterator[Any]:
        idle = self._idle[role, not reads]
        connection, current = idle.get()
        try:
            if database != current:
                _run(connection, f"USE `{database}`")
                current = database
            yield connection
        finally:
            idle.put((connection, current))

    def execute(self, role: Role, database: str, statement: Statement) -> bytes:
        """An insert, or a statement whose result is small."""
        with self._borrowed(role, database, reads=statement.reads) as connection:
            if statement.data is None:
                return _run(connection, statement.sql, statement.format, dict(statement.params))
            try:
                with connection.send_insert(statement.sql, statement.format) as inserter:
                    inserter.append(statement.data)
                    inserter.finish()
            except RuntimeError as error:  # chDB raises its own errors and plain ones
                raise EngineError(str(error)) from error
            return b""

    def stream(self, role: Role, database: str, statement: Statement) -> Iterator[bytes]:
        """A reading statement's result, in blocks as the engine makes them."""
        with self._borrowed(role, database, reads=statement.reads) as connection:
            try:
                with connection.send_query(statement.sql, statement.format, params=dict(statement.params) or None) as result:
                    for block in result:
                        yield block.bytes()
            except RuntimeError as error:
                raise EngineError(str(error)) from error


def _pool(connections: Sequence[Any]) -> _Pool:
    idle: _Pool = queue.LifoQueue()
    for connection in connections:
        idle.put((connection, "default"))
    return idle


def _run(connection: Any, sql: str, fmt: str = "TabSeparated", params: dict[str, str] | None = None) -> bytes:
    try:
        result: bytes = connection.query(sql, fmt, params=params or None).bytes()
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    return result
