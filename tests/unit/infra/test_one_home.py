"""Text reaches terminals, logs and pages through one home each, where it is made safe. This walks the sources and names whoever goes past them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TERMINAL = {"infra/tallystick_infra/terminal.py", "infra/tallystick_infra/cli/tables.py"}
LOGS = {"infra/tallystick_infra/logs.py"}
PAGES = {"dashboard/tallystick_dashboard/ui.py"}
BESIDE = {
    "infra/tallystick_infra/kafka/relock.py": "writes the lock file of Kafka's jars",
    "infra/tallystick_infra/bench/driver.py": "says JSON to the process that started it",
    "infra/tallystick_infra/bench/garbage.py": "says JSON to the process that started it",
    "infra/tallystick_infra/drills/lonely.py": "says one constant word to the process that started it",
}
SOURCES = [path for top in ("schemas", "producers", "stream_jobs", "audit", "dashboard", "infra") for path in (ROOT / top).rglob("*.py")]
CLICK = {"echo", "secho", "style", "confirm", "prompt", "echo_via_pager", "progressbar"}


def past_the_homes(name: str, source: str) -> list[str]:
    """What in a module prints, logs or draws by itself: `line: what`."""
    return [f"{name}:{line}: {what}" for line, what in _found(name, ast.parse(source))] if name not in BESIDE else []


def _found(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            yield from ((node.lineno, what) for what in _imports(name, node))
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _calls(name, node))


def _imports(name: str, node: ast.ImportFrom | ast.Import) -> Iterator[str]:
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    for one in node.names:
        whole = f"{module}.{one.name}".lstrip(".")
        if whole.split(".")[0] == "rich" and name not in TERMINAL and not _is_column(whole):
            yield f"imports {whole}"
        if module == "click" and one.name in CLICK and name not in TERMINAL:
            yield f"imports {whole}"
        if (whole.split(".")[0] == "dash_mantine_components" or whole in ("dash.html", "dash.dcc", "dash")) and name not in PAGES:
            yield f"imports {whole}"


def _is_column(whole: str) -> bool:
    """Columns of a bar that show numbers; a description is text."""
    return whole == "rich.progress.TaskID" or (whole.startswith("rich.progress.") and whole.endswith("Column") and "Text" not in whole)


def _calls(name: str, node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    terminal, log = name in TERMINAL, name in LOGS
    if not terminal and (called == "print" or (called.startswith("click.") and called.removeprefix("click.") in CLICK)):
        yield f"calls {called}"
    if not (terminal or log) and called in ("sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer.write", "sys.stderr.buffer.write"):
        yield f"calls {called}"
    if not terminal and called in ("StyledText", "StyledText.from_markup", "StyledText.from_ansi", "StyledText.assemble"):
        yield f"calls {called}"
    if not terminal and any(one.arg in ("markup", "emoji") for one in node.keywords):
        yield f"turns markup on or off in {called}"
    if not log and called.split(".")[-1] in ("basicConfig", "dictConfig", "fileConfig", "StreamHandler", "FileHandler", "Formatter"):
        yield f"sets up logging with {called}"
    if called in ("uvicorn.run", "uvicorn.Config") and not any(
        one.arg == "log_config" and isinstance(one.value, ast.Constant) and one.value.value is None for one in node.keywords
    ):
        yield f"lets {called} set up its own log"


def test_nobody_goes_past_them() -> None:
    assert [one for path in SOURCES for one in past_the_homes(str(path.relative_to(ROOT)), path.read_text())] == []


def test_those_that_may_are_there() -> None:
    assert {*TERMINAL, *LOGS, *PAGES, *BESIDE} <= {str(path.relative_to(ROOT)) for path in SOURCES}


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "click.echo(name)",
        "from click import echo",
        "sys.stdout.write(name)",
        "sys.stderr.write(name)",
        "from rich.console import Console",
        "from rich import print",
        "import rich.console",
        "from rich.text import Text",
        "from rich.progress import TextColumn",
        "console.print(name, markup=True)",
        "StyledText.from_markup(name)",
        "StyledText(name)",
        "click.confirm(name)",
        "logging.basicConfig()",
        "logging.StreamHandler()",
        "uvicorn.run(app)",
        "uvicorn.Config(app, log_config=LOGGING)",
        "import dash_mantine_components as dmc",
        "from dash import html",
        "import dash",
    ],
)
def test_whoever_does_is_named(source: str) -> None:
    assert past_the_homes("infra/tallystick_infra/cli/new.py", source) != []
    assert past_the_homes("infra/tallystick_infra/cli/new.py", "from rich.progress import DownloadColumn\nout().print(name)\n") == []
