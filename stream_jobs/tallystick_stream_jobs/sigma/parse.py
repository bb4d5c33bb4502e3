"""A rule file's bytes in, its rules out; every refusal names the part. pySigma reads the format, what it takes is then checked against ours."""

from collections.abc import Mapping
from typing import Any, Final

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from ..detectors.base import Act, Severity
from ..errors import RuleRefused
from .conditions import check_detection, predicate_of
from .correlations import window_of
from .definition import Definition, Window
from .example_files import examples_of
from .predicates import Predicate
from .source import read_documents

_SEVERITY: Final[Mapping[str, Severity]] = {
    "informational": "info",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}
_ACTS: Final[tuple[Act, ...]] = ("signal", "alert", "step-up")
_OWN: Final = "tallystick"
_SURPRISES: Final = (SigmaError, TypeError, AttributeError, ValueError, KeyError, IndexError, RecursionError)
"""What pySigma raises on documents that are not what it expects; its own errors are only some of them."""


def parse_rules(path: str, raw: bytes) -> list[Definition]:
    """The rules of one file that speak: correlations, and plain rules that no correlation of the file uses. RuleRefused otherwise."""
    documents = read_documents(path, raw)
    parsed = [(document, _parse(_place(path, document, number, documents), document)) for number, document in enumerate(documents, 1)]
    named = _named(path, parsed)
    speak: list[tuple[str, dict[str, Any], SigmaRule | SigmaCorrelationRule, Window]] = []
    used: set[str] = set()
    # Correlations first: a mistake in one of them would else be told as one of the rules that it was to use.
    for number, (document, rule) in enumerate(parsed, 1):
        if isinstance(rule, SigmaCorrelationRule):
            place = _place(path, document, number, documents)
            speak.append((place, document, rule, window_of(place, rule, named)))
            used |= set() if rule.generate else {one.reference for one in rule.rules or ()}
    for number, (document, rule) in enumerate(parsed, 1):
        if isinstance(rule, SigmaRule) and not used & {rule.name, str(rule.id)}:
            place = _place(path, document, number, documents)
            speak.append((place, document, rule, Window((_predicate(place, rule),))))
    return [_definition(*one) for one in speak]


def _place(path: str, document: Mapping[str, Any], number: int, documents: list[dict[str, Any]]) -> str:
    """The file, and which of its rules where there are several."""
    return path if len(documents) == 1 else f"{path} ({document.get('name') or document.get('title') or f'document {number}'})"


def _parse(path: str, document: dict[str, Any]) -> SigmaRule | SigmaCorrelationRule:
    for part in ("action", "filter"):
        if part in document:
            raise RuleRefused(path, part, "collections of rules with actions and filters are not supported; write each rule out")
    try:
        if "correlation" in document:
            return SigmaCorrelationRule.from_dict(document)
        check_detection(path, document.get("detection"))
        rule: SigmaRule = SigmaRule.from_dict(document)
    except _SURPRISES as error:
        part = "correlation" if "correlation" in document else "the rule"
        raise RuleRefused(path, part, f"Sigma does not allow it: {error or type(error).__name__}") from error
    source = rule.logsource
    if source.product != "tallystick" and (source.product, source.service) != ("aws", "cloudtrail"):
        raise RuleRefused(
            path, "logsource", "`product: tallystick`, or `product: aws` with `service: cloudtrail`, is what our history holds"
        )
    return rule


def _named(path: str, parsed: list[tuple[dict[str, Any], SigmaRule | SigmaCorrelationRule]]) -> dict[str, Predicate]:
    named: dict[str, Predicate] = {}
    for _, rule in parsed:
        if not isinstance(rule, SigmaRule):
            continue
        names = [str(name) for name in (rule.name, rule.id) if name is not None]
        if taken := next((name for name in names if name in named), None):
            raise RuleRefused(path, "name", f"{taken!r} stands for two rules")
        predicate = _predicate(path, rule)
        named |= dict.fromkeys(names, predicate)
    return named


def _predicate(path: str, rule: SigmaRule) -> Predicate:
    try:
        parsed = rule.detection.parsed_condition[0].parsed
    except _SURPRISES as error:
        raise RuleRefused(path, "detection.condition", f"Sigma does not allow it: {error or type(error).__name__}") from error
    return predicate_of(path, parsed)


def _definition(path: str, document: dict[str, Any], rule: SigmaRule | SigmaCorrelationRule, window: Window) -> Definition:
    if rule.id is None:
        raise RuleRefused(path, "id", "a UUID is needed: findings and feedback are about it")
    if rule.level is None:
        raise RuleRefused(path, "level", f"one of {', '.join(_SEVERITY)} is needed")
    own = document.get(_OWN) or {}
    if not isinstance(own, Mapping) or (unknown := sorted(set(own) - {"act", "examples"}, key=str)):
        raise RuleRefused(path, _OWN, f"`act` and `examples` are what may stand there{', not ' + str(unknown[0]) if own else ''}")
    act = own.get("act", "alert")
    if act not in _ACTS:
        raise RuleRefused(path, f"{_OWN}.act", f"{act!r}; a user's rule may ask for {', '.join(_ACTS)}, and at most for step-up")
    return Definition(
        path=path,
        sigma_id=str(rule.id),
        title=rule.title,
        description=(rule.description or rule.title).strip(),
        severity=_SEVERITY[rule.level.name.lower()],
        techniques=_techniques(rule),
        act=act,
        window=window,
        examples=examples_of(path, own.get("examples")),
    )


def _techniques(rule: SigmaRule | SigmaCorrelationRule) -> tuple[str, ...]:
    """`attack.t1530` is T1530, `atlas.aml.t0024` AML.T0024; other tags are tactics and more, which findings do not carry."""
    found = []
    for tag in rule.tags:
        name = tag.name.lower()
        if (tag.namespace == "attack" and name[:1] == "t" and name[1:2].isdigit()) or (
            tag.namespace == "atlas" and name.startswith("aml.t")
        ):
            found.append(name.upper())
    return tuple(dict.fromkeys(found))
