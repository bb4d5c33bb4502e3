"""Rule files for tests, made from few words."""

import textwrap
from pathlib import Path

import yaml

import tallystick_stream_jobs.sigma as package
from tallystick_stream_jobs.sigma.definition import Definition
from tallystick_stream_jobs.sigma.parse import parse_rules
from tallystick_stream_jobs.sigma.rule import UserRule

SHIPPED = Path(package.__file__).parent / "examples"
ID = "00000000-0000-4000-8000-00000000000{}"
EXAMPLES = "tallystick: {examples: [{expect: true, events: [{}]}, {expect: false, events: [{outcome: denied}]}]}"
"""Any; `compiled` does not run them."""


def plain(detection: str, name: str = "base", number: int = 1, more: str = "") -> str:
    """A rule without correlation; `detection` is YAML."""
    return (
        f"title: {name}\nid: {ID.format(number)}\nname: {name}\nlevel: medium\nlogsource: {{product: tallystick}}\n"
        f"detection:\n{textwrap.indent(textwrap.dedent(detection).strip(), '  ')}\n{more}"
    )


def base(name: str, action: str, number: int) -> str:
    """A rule on an action, for correlations."""
    return plain(f"sel: {{action: {action}}}\ncondition: sel", name, number)


def selection(items: str) -> str:
    """One selection, and it is the condition."""
    return plain(f"sel: {items}\ncondition: sel", more=EXAMPLES)


def correlation(body: str, *bases: str) -> str:
    """A correlation over plain rules; `body` is YAML."""
    bases = bases or (plain("sel: {action: artifact.download}\ncondition: sel"),)
    own = f"title: c\nid: {ID.format(9)}\nlevel: high\ncorrelation:\n{textwrap.indent(textwrap.dedent(body).strip(), '  ')}\n{EXAMPLES}"
    return "\n---\n".join([*bases, own])


def definition(text: str) -> Definition:
    (one,) = parse_rules("rule.yml", text.encode())
    return one


def compiled(text: str) -> UserRule:
    return UserRule(definition(text))


def without(text: str, key: str) -> str:
    """The rule without one of its top-level parts."""
    document = yaml.safe_load(text)
    del document[key]
    return str(yaml.safe_dump(document))
