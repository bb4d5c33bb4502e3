"""A folder's rules: `load_rules` gives what can be used and, beside it, why the rest cannot. A broken rule never stops the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import RuleRefused
from .source import MAX_BYTES

if TYPE_CHECKING:
    from .rule import UserRule

_MAX_FILES: Final = 200


def rule_files(folder: Path) -> list[Path]:
    """The folder's `*.yml` and `*.yaml`, by name; none where there is no folder. OSError where it cannot be read."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (".yml", ".yaml") and path.is_file())


def load_rules(folder: Path) -> "tuple[tuple[UserRule, ...], tuple[RuleRefused, ...]]":
    """(rules, errors) of the folder. Rules whose own examples fail are among the errors: what was never seen to work finds nothing, or everybody."""
    try:
        files = rule_files(folder)
    except OSError as error:
        return (), (RuleRefused(str(folder), "the folder", f"it cannot be read: {error.strerror}"),)
    errors = []
    if len(files) > _MAX_FILES:
        errors.append(RuleRefused(str(folder), "the folder", f"{len(files)} files, only the first {_MAX_FILES} are read"))
    return load_files(files[:_MAX_FILES], errors)


def load_files(files: list[Path], errors: list[RuleRefused] | None = None) -> "tuple[tuple[UserRule, ...], tuple[RuleRefused, ...]]":
    """The same for files by name."""
    rules: dict[str, UserRule] = {}
    refused = list(errors or [])
    for path in files:
        try:
            found = read_file(path)
        except RuleRefused as error:
            refused.append(error)
            continue
        for rule in found:
            wrong = _wrong(rule, rules)
            refused += wrong
            if not wrong:
                rules[rule.meta.id] = rule
    return tuple(rules.values()), tuple(refused)


def read_file(path: Path) -> "list[UserRule]":
    """The compiled rules of one file; RuleRefused."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RuleRefused(str(path), "the file", f"it cannot be read: {error.strerror}") from error
    try:
        # Here, so that a deployment without rules neither needs nor holds pySigma and RE2.
        from .parse import parse_rules
        from .rule import UserRule
    except ImportError as error:
        raise RuleRefused(str(path), "the file", "Sigma rules need `tallystick[rules]`; install it") from error
    return [UserRule(definition) for definition in parse_rules(str(path), raw)]


def _wrong(rule: "UserRule", known: "dict[str, UserRule]") -> list[RuleRefused]:
    from .example_files import failures

    path = rule.definition.path
    if (other := known.get(rule.meta.id)) is not None:
        return [RuleRefused(path, "id", f"{rule.meta.id} is the rule of {other.definition.path}; give one of them another id")]
    return [RuleRefused(path, "tallystick.examples", sentence) for sentence in failures(rule, rule.definition.examples)]
