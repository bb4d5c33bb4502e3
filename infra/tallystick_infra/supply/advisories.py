"""Whether an advisory in the OSV format (schema 1.7) is about a locked part: the matching that its page describes under "evaluation". Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from packaging.version import InvalidVersion, Version

from .parts import Part, canonical_name


class Package(msgspec.Struct, frozen=True):
    ecosystem: str = ""
    name: str = ""


class Event(msgspec.Struct, frozen=True):
    """Exactly one of them; `introduced` is included, `fixed` is not, `last_affected` is."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class Range(msgspec.Struct, frozen=True):
    type: str
    events: list[Event] = []


class Affected(msgspec.Struct, frozen=True):
    package: Package = Package()
    ranges: list[Range] = []
    versions: list[str] = []


class Advisory(msgspec.Struct, frozen=True):
    id: str
    modified: str
    withdrawn: str | None = None
    aliases: list[str] = []
    summary: str = ""
    affected: list[Affected] = []


@dataclass(frozen=True)
class Found:
    """A locked part with a known vulnerability. `fixed`: versions that have it no longer, as far as the advisory says."""

    part: Part
    id: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]
    summary: str


@dataclass(frozen=True)
class Matched:
    """`unjudged`: what nobody can say from versions alone, as `id about name version`."""

    found: tuple[Found, ...]
    unjudged: tuple[str, ...]


def match(parts: Sequence[Part], advisories: Iterable[Advisory]) -> Matched:
    """What is known against these parts. Withdrawn advisories count no more."""
    by_name: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        by_name.setdefault((part.ecosystem, part.name), []).append(part)
    found, unjudged = [], []
    for advisory in advisories:
        for affected in advisory.affected if advisory.withdrawn is None else ():
            for part in by_name.get(_key(affected.package), ()):
                is_hit = _judge(part, affected)
                if is_hit:
                    found.append(Found(part, advisory.id, tuple(advisory.aliases), _fixes(affected), advisory.summary))
                elif is_hit is None:
                    unjudged.append(f"{advisory.id} about {part.name} {part.version}")
    return Matched(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(unjudged)))


def _key(package: Package) -> tuple[str, str]:
    name = package.name if package.ecosystem == "Maven" else canonical_name(package.name)
    return package.ecosystem, name


def _judge(part: Part, affected: Affected) -> bool | None:
    """Whether the part is affected; None where its versions cannot be ordered here."""
    if part.version in affected.versions:
        return True
    ranges = [one for one in affected.ranges if one.type in ("ECOSYSTEM", "SEMVER")]
    if part.ecosystem == "Maven":
        # Maven's order of versions is not Python's. Where an advisory lists versions, the list is whole.
        return False if affected.versions or not ranges else None
    try:
        version = Version(part.version)
        return version in _known(affected.versions) or any(_within(version, one.events) for one in ranges)
    except InvalidVersion:
        return None


def _known(versions: Sequence[str]) -> set[Version]:
    """Those that are versions by PEP 440; what a package called otherwise long ago is compared as text."""
    known = set()
    for text in versions:
        try:
            known.add(Version(text))
        except InvalidVersion:
            continue
    return known


def _within(version: Version, events: Sequence[Event]) -> bool:
    """The last event at or below the version decides; InvalidVersion where one is no version."""
    inside = False
    for at, opens, passed in sorted((_point(event) for event in events), key=lambda point: (point[0], point[1])):
        if version > at or (version == at and not passed):
            inside = opens
    return inside


def _point(event: Event) -> tuple[Version, bool, bool]:
    """(version, whether it opens, whether only what is above it has passed it)."""
    if event.introduced is not None:
        return Version("0.dev0" if event.introduced == "0" else event.introduced), True, False
    if event.fixed is not None:
        return Version(event.fixed), False, False
    return Version(event.last_affected or ""), False, True


def _fixes(affected: Affected) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(event.fixed for one in affected.ranges if one.type != "GIT" for event in one.events if event.fixed is not None)
    )
