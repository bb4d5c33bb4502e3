"""A policy from its text. All mistakes are told at once."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

from ..detectors.base import Meta, problems
from ..detectors.registry import METAS
from ..errors import PolicyRefused
from .fields import Fields, glob, instant, name, number, one_of, one_or_more, principal_glob, principal_name, text, whole
from .model import EVERY, MODES, Bar, DetectionPolicy, DetectorPolicy, Exemption, Grant, Noise, Suppression
from .names import folded
from .yaml_text import Node, read_yaml

_BUILT_IN: Final = re.compile(r"[A-Z]\d+[a-z]?", re.ASCII)
_NONE: Final[tuple[str, ...]] = ()
_NOT_RULES: Final = frozenset({"Q01", "R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "S01"})
"""Findings that no rule makes: a detector that was wrong too often; revocations that do not work, and what hinders response; a storm."""
_MAX_PROTECTED: Final = 1000


def parse(document: str, metas: Mapping[str, Meta] = METAS) -> DetectionPolicy:
    """PolicyRefused names every mistake with its line and path. `metas`: the detectors whose parameters may be set; all of ours by default."""
    mistakes: list[str] = []
    top = Fields(mistakes, read_yaml(document), "")
    known = _Known(metas)
    top.take("version", whole(1, 1), 1)
    mode = top.take("mode", one_of(MODES), "auto")
    policy = DetectionPolicy(
        default_mode=mode,  # type: ignore[arg-type]  # one of MODES
        detectors=_detectors(top.inner("detectors"), known, mistakes),
        protected=_protected(top),
        exemptions=tuple(_exemption(one, known) for one in top.items("exemptions")),
        suppressions=tuple(_suppression(one, known) for one in top.items("suppressions")),
        grants=_grants(top, known),
        noise=_noise(top.inner("noise")),
        bar_default=_bar(top.inner("bar"), Bar()),
        sha256=sha256(document.encode("utf-8", "surrogatepass")).hexdigest(),
    )
    top.done()
    if mistakes:
        raise PolicyRefused(mistakes)
    return policy


class _Known:
    """Which detectors there are. A name of another form than ours (D01) is a user's rule and taken as it is."""

    def __init__(self, metas: Mapping[str, Meta]) -> None:
        self.metas = metas

    def detector(self, node: Node) -> str:
        found = name(node)
        if found.upper() != found and found.upper() in {*self.metas, *_NOT_RULES}:
            raise ValueError(f"there is no detector {found}; did you mean {found.upper()}?")
        if found not in self.metas and found not in _NOT_RULES and _BUILT_IN.fullmatch(found):
            raise ValueError(f"there is no detector {found}; there are {', '.join(sorted({*self.metas, *_NOT_RULES}))}")
        return found

    def detectors(self, node: Node) -> tuple[str, ...]:
        """One, a list, or `*`."""
        return (EVERY,) if node.value == EVERY else one_or_more(self.detector)(node)


def _detectors(section: Fields, known: _Known, mistakes: list[str]) -> dict[str, DetectorPolicy]:
    found: dict[str, DetectorPolicy] = {}
    for key, node in section.names().items():
        try:
            known.detector(Node(key, node.line))
        except ValueError as error:
            section.wrong(node.line, key, str(error))
            continue
        one = Fields(mistakes, node, f"detectors.{key}")
        mode = one.take("mode", one_of(MODES))
        bar = _bar(one.inner("bar"), None)
        found[key] = DetectorPolicy(mode, _parameters(one.inner("parameters"), key, known.metas.get(key)), bar)  # type: ignore[arg-type]
        one.done()
    return found


def _parameters(section: Fields, detector: str, meta: Meta | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, node in section.names().items():
        if meta is None or key not in meta.parameters:
            names = ", ".join(sorted(meta.parameters)) if meta is not None and meta.parameters else "none"
            section.wrong(node.line, key, f"{detector} has no such parameter; it has {names}")
            continue
        wrong = problems(meta, {key: None if isinstance(node.value, dict | list) else node.value})  # type: ignore[dict-item]  # it looks for itself
        for reason in wrong:
            section.wrong(node.line, key, f"{reason}; the default is {meta.parameters[key].value:g}")
        if not wrong:
            found[key] = float(node.value)  # type: ignore[arg-type]  # a number, as was just seen
    return found


def _bar(section: Fields, default: Bar | None) -> Any:
    precision = section.take("precision", number(0, 1))
    verdicts = section.take("verdicts", whole(1, 1_000_000))
    section.done()
    if precision is None and verdicts is None:
        return default
    return Bar(Bar.precision if precision is None else precision, Bar.verdicts if verdicts is None else verdicts)


def _protected(top: Fields) -> frozenset[str]:
    known: dict[str, str] = {}
    for one in top.items("protected"):
        principal = one.take("principal", principal_name, needed=True)
        one.take("reason", text, needed=True)
        if principal is not None and (twin := known.setdefault(folded(principal), principal)) != principal:
            one.wrong(0, "principal", f"{principal!r} and {twin!r} differ in case alone; protect the one that exists")
        one.done()
    if len(known) > _MAX_PROTECTED:
        top.wrong(0, "protected", f"has more than {_MAX_PROTECTED} principals")
    return frozenset(known.values())


def _why(one: Fields) -> dict[str, Any]:
    """What nobody may leave out: until when, why, and who answers for it."""
    return {
        "until": one.take("until", instant, 0.0, needed=True),
        "reason": one.take("reason", text, "", needed=True),
        "owner": one.take("owner", name, "", needed=True),
    }


def _exemption(one: Fields, known: _Known) -> Exemption:
    principal, role = one.take("principal", principal_name), one.take("role", name)
    if (principal is None) == (role is None):
        one.wrong(0, "", "needs either a principal or a role")
    found = Exemption(principal, role, one.take("detectors", known.detectors, _NONE, needed=True) or _NONE, **_why(one))
    one.done()
    return found


def _suppression(one: Fields, known: _Known) -> Suppression:
    detectors = one.take("detectors", known.detectors, _NONE, needed=True) or _NONE
    principal, resource = one.take("principal", principal_glob), one.take("resource", glob)
    if detectors == (EVERY,) and all(pattern is None or not pattern.strip("*?") for pattern in (principal, resource)):
        one.wrong(0, "", "would silence everything; name detectors, a principal or a resource")
    found = Suppression(detectors, principal, resource, **_why(one))
    one.done()
    return found


def _grants(top: Fields, known: _Known) -> tuple[Grant, ...]:
    found = [_grant(one, "grant", known) for one in top.items("grants")] + [_grant(one, "job", known) for one in top.items("jobs")]
    seen: set[str] = set()
    for grant in found:
        if grant.id and grant.id in seen:
            top.wrong(0, "grants and jobs", f"the id {grant.id!r} is given twice")
        seen.add(grant.id)
    return tuple(found)


def _grant(one: Fields, kind: Literal["grant", "job"], known: _Known) -> Grant:
    resources = one.take("resources", one_or_more(glob), _NONE, needed=True) or _NONE
    if any(not pattern.strip("*?") for pattern in resources):
        one.wrong(0, "resources", "would cover everything; name the resources")
    found = Grant(
        kind,
        one.take("id", name, "", needed=True) or "",
        one.take("principals", one_or_more(principal_name), _NONE, needed=True) or _NONE,
        resources,
        one.take("detectors", known.detectors, _NONE, needed=True) or _NONE,
        one.take("since", instant),
        objects=one.take("objects", whole(1, 1_000_000_000)),
        **_why(one),
    )
    if found.since is not None and found.until and found.since >= found.until:
        one.wrong(0, "until", "is not after since")
    one.done()
    return found


def _noise(section: Fields) -> Noise:
    default = Noise()
    found = Noise(
        section.take("dedup_minutes", number(1, 1440)) or default.dedup_minutes,
        section.take("storm_findings", whole(2, 1_000)) or default.storm_findings,
        section.take("storm_minutes", number(1, 60)) or default.storm_minutes,
    )
    section.done()
    return found
