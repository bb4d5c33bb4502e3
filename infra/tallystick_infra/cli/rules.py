"""People's own detection rules: `tallystick rules test / list`."""

from pathlib import Path

import click

from tallystick_schemas.words import counted

from ..terminal import joined, styled
from .common import data_option, emit_json, json_option, out
from .groups import Group
from .tables import Listing

FOLDER = "rules"


@click.group(cls=Group)
def rules() -> None:
    """Detection rules of your own, in Sigma YAML: DATA/rules/*.yml."""


@rules.command()
@data_option
@json_option
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
def test(data: Path, as_json: bool, paths: tuple[Path, ...]) -> int:
    """Compile rules and run each one's own true and false examples through the engine. PATH: files or folders; default: DATA/rules.

    Exit code: 0 all good, 1 a rule is refused or an example fails.
    """
    from tallystick_stream_jobs.sigma.load import load_files, rule_files

    folders = paths or (data / FOLDER,)
    files = [file for path in folders for file in (rule_files(path) if path.is_dir() or not path.exists() else [path])]
    found, errors = load_files(files)
    if as_json:
        passed = [{"rule": rule.meta.id, "path": rule.definition.path, "examples": len(rule.definition.examples)} for rule in found]
        emit_json({"files": len(files), "passed": passed, "failed": [{"path": e.path, "part": e.part, "reason": e.reason} for e in errors]})
        return 1 if errors else 0
    console = out()
    for rule in found:
        examples = counted(len(rule.definition.examples), "example")
        console.print(joined(styled("good", "green"), f"    {rule.meta.id}  {rule.meta.title} ({examples})"))
    for error in errors:
        console.print(joined(styled("refused", "red"), f" {error.path}"))
        console.print(f"        {error.part}: {error.reason}")
    console.print(f"{counted(len(files), 'file')}, {counted(len(found), 'rule')} good, {len(errors)} refused.")
    return 1 if errors else 0


@rules.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> int:
    """The rules that the detectors of this deployment load, and the ones that they leave out. Exit code: 0 none is left out, 1 one is."""
    from tallystick_stream_jobs.sigma.load import load_rules

    found, errors = load_rules(data / FOLDER)
    if as_json:
        emit_json(
            {
                "rules": [
                    {
                        "id": rule.meta.id,
                        "version": rule.meta.version,
                        "title": rule.meta.title,
                        "severity": rule.meta.severity,
                        "act": rule.meta.most,
                        "techniques": rule.meta.techniques,
                        "path": rule.definition.path,
                    }
                    for rule in found
                ],
                "refused": [{"path": error.path, "part": error.part, "reason": error.reason} for error in errors],
            }
        )
        return 1 if errors else 0
    table = Listing("rule", "severity", "asks for", "line", "title", whole=("rule",))
    for rule in found:
        line = rule.meta.parameters["line"]
        table.add_row(rule.meta.id, rule.meta.severity, rule.meta.most, f"{line.value:g} {line.unit}", rule.meta.title)
    out().print(table if found else f"No rules in {data / FOLDER}.")
    for error in errors:
        out().print(joined(styled("left out", "red"), f" {error}"))
    return 1 if errors else 0
