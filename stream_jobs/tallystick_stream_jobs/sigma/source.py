"""Rule files as YAML, within limits that are checked before anything is built from them."""

from collections.abc import Hashable
from typing import Any, Final

import yaml

from ..errors import RuleRefused

MAX_BYTES: Final = 64 * 1024
MAX_DOCUMENTS: Final = 16
_MAX_DEPTH: Final = 16
_MAX_NODES: Final = 5000


class _Loader(yaml.SafeLoader):
    """Safe, and a key that stands twice is a mistake, not the last one's right."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            problem = (
                "a key is a word"
                if not isinstance(key, yaml.ScalarNode)
                else f"the key {key.value!r} stands twice"
                if key.value in seen
                else None
            )
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_documents(path: str, raw: bytes) -> list[dict[str, Any]]:
    """The documents of a file; RuleRefused names the line. Aliases are refused: a few lines of them can stand for gigabytes."""
    if len(raw) > MAX_BYTES:
        raise RuleRefused(path, "the file", f"it has {len(raw):,} bytes, at most {MAX_BYTES:,} are allowed")
    try:
        text = raw.decode()
        _check_events(path, text)
        documents = [one for one in yaml.load_all(text, _Loader) if one is not None]
    except UnicodeDecodeError as error:
        raise RuleRefused(path, f"byte {error.start}", "the file is not UTF-8") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RuleRefused(path, _line(error), f"not YAML that can be used: {getattr(error, 'problem', None) or error}") from error
    for number, document in enumerate(documents, 1):
        if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
            raise RuleRefused(path, f"document {number}", "a rule is a mapping with names as keys")
    if not documents:
        raise RuleRefused(path, "the file", "there is no rule in it")
    return documents


def _check_events(path: str, text: str) -> None:
    depth = documents = 0
    for nodes, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        where = f"line {event.start_mark.line + 1}" if event.start_mark else "the file"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise RuleRefused(path, where, "anchors and aliases are not allowed; write it out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        for value, limit, name in ((depth, _MAX_DEPTH, "levels"), (nodes, _MAX_NODES, "nodes"), (documents, MAX_DOCUMENTS, "documents")):
            if value > limit:
                raise RuleRefused(path, where, f"more than {limit} {name} in one file")


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else "the file"
