"""The project's Markdown pages, taken apart: links, code, commands, tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def links(self) -> list[str]:
        """Targets of links and pictures."""
        return _LINK.findall(_FENCE.sub("", self.text))

    def anchors(self) -> set[str]:
        """What a link to a heading may name (as GitHub makes it)."""
        headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", self.text), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def fenced(self, language: str) -> list[str]:
        """The fenced blocks of a language."""
        return [code for found, code in _FENCE.findall(self.text) if found == language]

    def code_lines(self) -> list[str]:
        """Lines of code blocks that are not Python: what a reader would type."""
        shell = [line for language, code in _FENCE.findall(self.text) if language in ("", "sh", "console") for line in code.splitlines()]
        return [*shell, *_INDENTED.findall(_FENCE.sub("", self.text))]

    def spans(self) -> list[str]:
        """Code within sentences and tables."""
        return _SPAN.findall(_FENCE.sub("", self.text))

    def table(self, first: str) -> list[list[str]]:
        """Rows, heading left out, of every table whose first column has this heading."""
        rows: list[list[str]] = []
        inside = False
        for line in self.text.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
            inside = bool(cells) and (inside or cells[0] == first)
            if inside and cells[0] != first and not set(cells[0]) <= {"-"}:
                rows.append(cells)
        return rows


def pages() -> list[Page]:
    """Every Markdown file of the project."""
    found = [path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]
    return [Page(path) for path in sorted(found)]


def commands(page: Page) -> Iterator[tuple[list[str], bool]]:
    """(words after `tallystick`, whether it stands there to be typed) for each command of ours on the page."""
    for line in page.code_lines():
        if line.startswith("tallystick "):
            yield shlex.split(line, comments=True)[1:], True
    for span in page.spans():
        if span.startswith("tallystick "):
            yield shlex.split(span)[1:], False
