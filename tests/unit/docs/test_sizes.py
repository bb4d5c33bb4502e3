"""What keeps code readable, counted: no file above 400 lines, no function above 50, nothing that is left to be written by a subclass and forgotten."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path for part in ("audit", "dashboard", "infra", "producers", "schemas", "stream_jobs") for path in (ROOT / part).rglob("*.py")
)
MOST_LINES, MOST_OF_A_FUNCTION = 400, 50
LONGER = {("engine.py", "_segment")}
"""Where a call for each event costs more than a long function does."""


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("part", ["audit", "dashboard", "infra", "producers", "schemas", "stream_jobs"])
def test_files_and_functions_are_short_and_whole(part: str) -> None:
    files = [path for path in FILES if path.is_relative_to(ROOT / part)]
    assert files
    for path in files:
        text = path.read_text()
        assert text.count("\n") <= MOST_LINES, path
        assert "NotImplementedError" not in text, f"{path}: abstractmethod says so before anything runs"
        for function in functions(ast.parse(text)):
            lines = (function.end_lineno or 0) - function.lineno + 1
            assert lines <= MOST_OF_A_FUNCTION or (path.name, function.name) in LONGER, f"{path}: {function.name} has {lines} lines"


def test_what_guards_a_socket_cannot_be_made_half() -> None:
    from tallystick_producers.serving.tls import Guarded

    class Half(Guarded):
        def depart(self) -> None:
            """Gone."""

    with pytest.raises(TypeError, match="arrive"):
        Half()  # type: ignore[abstract]
