"""YAML as far as a policy needs it: plain mappings, lists and scalars with their lines. What can make a parser work without end is refused.

No tags, anchors, aliases or merge keys; no key twice; YAML 1.2's core scalars, so that `no` is a word, `1:30` is no number and a date is text.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from ..errors import PolicyRefused

MAX_BYTES: Final = 128 * 1024
MAX_DEPTH: Final = 8
MAX_NODES: Final = 20_000
Value: TypeAlias = "str | int | float | bool | dict[str, Node] | list[Node] | None"


@dataclass(frozen=True)
class Node:
    """A value and the line on which it begins, counted from 1."""

    value: Value
    line: int


class _Loader(yaml.SafeLoader):
    """Composes nodes only; nothing is ever constructed from a tag."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as in the base class, which fills it
    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused(event, "anchors and aliases are not taken; write the value again")
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise _refused(event, f"deeper than {MAX_DEPTH} levels, or more than {MAX_NODES:,} values")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,14})", "-+0123456789"),
    ("float", r"[-+]?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}", "-+0123456789"),
    ("null", r"~|null|", ["~", "n", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read_yaml(text: str) -> Node:
    """The document as nodes; PolicyRefused with the line. An empty text is an empty mapping."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyRefused([f"the file has more than {MAX_BYTES >> 10} KiB; a policy is shorter"])
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return Node({}, 1) if root is None else _plain(root)
    except yaml.YAMLError as error:
        raise PolicyRefused([_sentence(error)]) from error
    except RecursionError as error:
        raise PolicyRefused(["the file is nested too deeply"]) from error
    finally:
        if loader is not None:
            loader.dispose()


def _plain(node: yaml.Node) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        _plain_tag(node, "map")
        return Node(_mapping(node), line)
    if isinstance(node, yaml.SequenceNode):
        _plain_tag(node, "seq")
        return Node([_plain(item) for item in node.value], line)
    _plain_tag(node, "str", "int", "float", "bool", "null")
    return Node(_scalar(node), line)


def _mapping(node: yaml.MappingNode) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is None or name == "<<":
            raise _refused(key, "a key is plain text, and << is not taken")
        if name in found:
            raise _refused(key, f"{name!r} stands here a second time; keep one")
        found[name] = _plain(value)
    return found


def _scalar(node: yaml.Node) -> Value:
    kind = node.tag.rpartition(":")[2]
    text: str = node.value
    if kind == "bool":
        return text == "true"
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    return None if kind == "null" else text


def _plain_tag(node: yaml.Node, *allowed: str) -> None:
    if node.tag not in {f"tag:yaml.org,2002:{name}" for name in allowed}:
        raise _refused(node, f"the tag {node.tag!r} is not taken")


def _refused(where: Any, reason: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=reason, problem_mark=where.start_mark)


def _sentence(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return f"{place}{problem or ' '.join(str(error).split())}"[:500]
