"""The pages keep up with the code: links, commands, examples, targets, versions."""

import ast
import inspect
import re
from importlib import import_module

import click
import pytest
from tests.support.pages import ROOT, Page, commands, pages

from tallystick_infra.cli import cli
from tallystick_schemas import __version__

PAGES = pages()
BY_NAME = {str(page): page for page in PAGES}
COMMANDS = [(page, words, typed) for page in PAGES for words, typed in commands(page)]
PYTHON = [(page, code) for page in PAGES for code in page.fenced("python")]
HOSTS = {"openid.net", "github.com", "keepachangelog.com", "semver.org", "example.org"}
"""Hosts that pages may name. A package registry's or a mirror's is nobody's business but the reader's."""
_HOST = re.compile(r"(?<![\w/-])(?:[\w-]+\.)+(?:com|org|net|io|dev|cloud|internal|local|lan)\b")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|opt|mnt|usr|workspace)/")
each_page = pytest.mark.parametrize("page", PAGES, ids=str)


def test_the_pages_are_there() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "schemas/README.md", "docs/operator.md"} <= BY_NAME.keys()
    assert len(COMMANDS) > 20
    assert len(PYTHON) >= 2
    assert {str(page) for page, _ in PYTHON} >= {"README.md", "docs/agent-developer.md"}


@each_page
def test_links_resolve(page: Page) -> None:
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), f"{page} links to {link}"
        if anchor:
            assert anchor in Page(path).anchors(), f"{page} links to {link}"


def _find(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that the words name, its context and the words that are left."""
    command, context = cli, click.Context(cli, info_name="tallystick")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, words = words[0], words[1:]
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command, context = found, click.Context(found, parent=context, info_name=name)  # type: ignore[assignment]
    return command, context, words


@pytest.mark.parametrize(("page", "words", "typed"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_commands_exist(page: Page, words: list[str], typed: bool) -> None:
    command, context, left = _find(list(words))
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in left:
        assert not word.startswith("-") or word.partition("=")[0] in known, f"{page}: no option {word} of {command.name}"
    try:
        if not isinstance(command, click.Group):
            command.make_context(command.name, list(left), parent=context.parent)
    except click.MissingParameter:
        assert not typed, f"{page}: {words} cannot be typed so"


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=lambda value: str(value) if isinstance(value, Page) else "")
def test_python_blocks(page: Page, code: str) -> None:
    tree = ast.parse(code, str(page))
    compile(tree, str(page), "exec")
    known: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: import_module(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = import_module(node.module or "")
            known |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    assert known, f"{page} shows code that imports nothing"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and callable(known.get(node.func.id)):
            given = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            inspect.signature(known[node.func.id]).bind(*node.args, **given)  # type: ignore[arg-type]


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@each_page
def test_make_targets_exist(page: Page) -> None:
    named = [match.group(1) for text in (*page.code_lines(), *page.spans()) if (match := re.match(r"make ([a-z]+)", text))]
    assert set(named) <= _targets(), str(page)


def test_phony_targets_exist() -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(" ".join(phony).split()) == _targets()


def test_the_newest_version_of_the_changelog_is_ours() -> None:
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", BY_NAME["CHANGELOG.md"].text, re.MULTILINE)
    assert versions
    assert versions[0] == __version__


def test_the_changelog_names_every_command() -> None:
    text = BY_NAME["CHANGELOG.md"].text
    assert [name for name in cli.list_commands(click.Context(cli)) if f"`{name}`" not in text and f"`tallystick {name}" not in text] == []


@each_page
def test_no_machine_and_no_registry(page: Page) -> None:
    assert _MACHINE_PATH.findall(page.text) == []
    assert {host for host in _HOST.findall(page.text) if host not in HOSTS} == set()
