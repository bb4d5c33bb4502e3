"""The locked parts: Python's packages of requirements.lock and Kafka's jars. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tallystick_schemas.errors import ParseError

from ..kafka.jars import Jar

Ecosystem = Literal["PyPI", "Maven"]
"""As advisories call them (OSV schema, `affected[].package.ecosystem`)."""
_PACKAGE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)( ; [^\\]+?)? ?\\?")
_HASH: Final = re.compile(r" +--hash=sha256:([0-9a-f]{64})(?: \\)?")


@dataclass(frozen=True)
class Part:
    """One locked part. `sha256`: of each file that may be installed for it, sorted."""

    ecosystem: Ecosystem
    name: str
    version: str
    sha256: tuple[str, ...]


def parse_requirements(text: str) -> list[Part]:
    """The packages of a lock file, those of other platforms too; ParseError names the line that is none, so that nothing is left out unseen."""
    found: list[tuple[str, str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if package := _PACKAGE.fullmatch(line):
            found.append((canonical_name(package[1]), package[2], []))
        elif found and (digest := _HASH.fullmatch(line)):
            found[-1][2].append(digest[1])
        else:
            raise ParseError(f"requirements.lock, line {number}: neither 'name==version' nor its hash")
    return [Part("PyPI", name, version, tuple(sorted(hashes))) for name, version, hashes in found]


def jar_parts(jars: Iterable[Jar]) -> list[Part]:
    """Kafka's jars, by the names that Maven's world gives them."""
    return [Part("Maven", f"{jar.group}:{jar.artifact}", jar.version, (jar.sha256,)) for jar in jars]


def canonical_name(name: str) -> str:
    """One spelling of a Python package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
