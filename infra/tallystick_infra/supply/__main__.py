"""`make audit`: writes the bill of materials, then says which locked parts have known vulnerabilities.

Exit code: 0 every package of the lock file was asked about and nothing is known, 1 something is, 2 not all could be asked about, 3 nothing was asked.
"""

import sys
from pathlib import Path
from typing import Final

import click

import tallystick_schemas
from tallystick_schemas.words import counted

from ..cli.tables import Listing
from ..errors import NothingAsked
from ..kafka.jars import locked_jars
from ..terminal import Terminal, emit_json, joined, out, styled
from .asking import Answer, ask_files, ask_online
from .parts import Part, jar_parts, parse_requirements
from .sbom import bill_of_materials, installed_licence

KNOWN: Final = 1
INCOMPLETE: Final = 2


@click.command("audit")
@click.option("--lock", type=click.Path(path_type=Path, exists=True, dir_okay=False), default="requirements.lock", show_default=True)
@click.option("--sbom", type=click.Path(path_type=Path, dir_okay=False), default="dist/sbom.cdx.json", show_default=True)
@click.option("--advisories", type=click.Path(path_type=Path, exists=True), help="Folder or zip of OSV records; without it, OSV is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def audit(lock: Path, sbom: Path, advisories: Path | None, as_json: bool) -> None:
    """Bill of materials, and known vulnerabilities of what it lists."""
    parts, console = [*parse_requirements(lock.read_text()), *jar_parts(locked_jars())], out(as_json)
    known = _write_bill(sbom, parts)
    unknown = (
        f"; of {len(parts) - known} the licence is not known, they are not installed here or do not say it" if known < len(parts) else ""
    )
    console.print(f"Bill of materials {sbom}: {counted(len(parts), 'part')}{unknown}.")
    try:
        answer = ask_files(parts, advisories) if advisories is not None else ask_online(parts)
    except NothingAsked as error:
        console.print(styled(f"not known: {error}", "bold yellow"))
        _end({"verdict": "not asked", "reason": str(error), "parts": len(parts), "sbom": str(sbom)}, as_json, error.exit_code)
    code = KNOWN if answer.found else INCOMPLETE if answer.doubts else 0
    _tell(console, answer, code)
    _end({**_as_json(answer, code), "parts": len(parts), "sbom": str(sbom)}, as_json, code)


def _write_bill(path: Path, parts: list[Part]) -> int:
    """How many parts have a known licence."""
    licences = {part: installed_licence(part) for part in parts}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bill_of_materials(parts, tallystick_schemas.__version__, licences.get) + "\n")
    return sum(licence is not None for licence in licences.values())


def _tell(console: Terminal, answer: Answer, code: int) -> None:
    if answer.found:
        table = Listing("part", "version", "advisory", "fixed in", "says", whole=("part", "version", "advisory"), below="says")
        for one in answer.found:
            names = f"{one.id} ({', '.join(one.aliases)})" if one.aliases else one.id
            table.add_row(one.part.name, one.part.version, styled(names, "red"), ", ".join(one.fixed) or "no version yet", one.summary)
        console.print(table)
    for left in (*answer.doubts, *answer.beside):
        console.print(styled(f"{left}.", "yellow"))
    many = counted(len(answer.found), "known vulnerability", "known vulnerabilities")
    said, style = {
        0: ("no known vulnerability", "bold green"),
        KNOWN: (many, "bold red"),
        INCOMPLETE: ("none known, and not all was asked about", "bold yellow"),
    }[code]
    console.print(joined(f"{counted(answer.asked, 'part')} asked about ({answer.source}): ", styled(said, style)))


def _as_json(answer: Answer, code: int) -> dict[str, object]:
    found = [
        {
            "name": one.part.name,
            "version": one.part.version,
            "id": one.id,
            "aliases": one.aliases,
            "fixed": one.fixed,
            "summary": one.summary,
        }
        for one in answer.found
    ]
    verdict = {0: "none known", KNOWN: "known", INCOMPLETE: "incomplete"}[code]
    return {
        "verdict": verdict,
        "source": answer.source,
        "asked": answer.asked,
        "found": found,
        "doubts": answer.doubts,
        "beside": answer.beside,
    }


def _end(value: dict[str, object], as_json: bool, code: int) -> None:
    if as_json:
        emit_json(value)
    sys.exit(code)


if __name__ == "__main__":
    audit()
