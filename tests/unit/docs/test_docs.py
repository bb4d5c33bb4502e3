"""What the documentation says exists: links, commands and their options, make targets, code."""

import ast
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from tallystick_infra.cli import cli

ROOT = Path(__file__).parents[3]
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("schemas/*.md")])
READERS = [path for path in PAGES if path.parent.name != "adr"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(text: str) -> list[str]:
    """`tallystick …` in code spans and in indented or fenced blocks."""
    spans = re.findall(r"`(tallystick [^`\n]+)`", text)
    lines = re.findall(r"^(?: {4})?(tallystick .+)$", text, re.M)
    return [re.split(r"\s+#\s", one)[0].strip() for one in [*spans, *lines] if "…" not in one]


EVERY = [(name(page), command) for page in READERS for command in commands(page.read_text())]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


CODE = [(name(page), block) for page in PAGES for block in blocks(page.read_text(), "python")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in targets:
        if not target.startswith(("http://", "https://", "#", "mailto:")):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize(("page", "command"), EVERY, ids=[f"{page}: {command}" for page, command in EVERY])
def test_commands_exist_with_their_options(page: str, command: str) -> None:
    """The words are walked down the real command tree; what follows must be its options, with as many arguments as it takes."""
    words = shlex.split(command)[1:]
    if words and words[0].split("[")[0] == "":
        return
    here: click.Command = cli
    context = click.Context(cli, info_name="tallystick")
    while words and isinstance(here, click.Group) and not words[0].startswith("-"):
        found = here.get_command(context, words[0])
        assert found is not None, f"{page}: {command}: no command {words[0]!r}"
        context, here, words = click.Context(found, info_name=words[0], parent=context), found, words[1:]
    known = {option for parameter in here.params for option in [*parameter.opts, *parameter.secondary_opts]} | {"-h", "--help"}
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in known, f"{page}: {command}: no option {word}"


def test_there_are_commands_and_code_to_check() -> None:
    assert len(EVERY) > 15
    assert len(CODE) >= 2


@pytest.mark.parametrize(("page", "block"), CODE, ids=[f"{page}-{number}" for number, (page, _) in enumerate(CODE)])
def test_code_is_python_and_its_imports_exist(page: str, block: str) -> None:
    for node in ast.walk(ast.parse(block, page)):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)


@pytest.mark.parametrize("page", READERS, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test", "install", "lint", "bench", "lock", "clean", "help"} <= targets
    for target in re.findall(r"(?:^ {4}|`)make ([a-z]+)", page.read_text(), re.M):
        assert target in targets


def test_every_decision_has_its_number_once() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_the_lock_file_pins_every_dependency_with_a_sum_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.split("==")[0].split("[")[0].lower().replace("_", "-") for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)}
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[<>=!~;\[ ]", one, maxsplit=1)[0].lower().replace("_", "-") for one in wanted} - {"tallystick"}
    assert names <= pinned
    assert "://" not in lock
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()) if re.match(r"[A-Za-z0-9]", entry))
