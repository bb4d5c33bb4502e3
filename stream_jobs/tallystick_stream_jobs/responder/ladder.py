"""How far each detector may go, alone and with a second one, and which of them look at the same evidence (the table of detectors). Pure."""

from typing import Final, Literal

from tallystick_schemas.messages import Finding

Rung = Literal["note", "recommend", "step-up", "suspend"]
RUNGS: Final[tuple[Rung, ...]] = ("note", "recommend", "step-up", "suspend")
DETERMINISTIC: Final = frozenset({"D07a", "D13"})
"""What they see has no innocent reading: two keys at work with one name, or a decoy in somebody's hands."""
_ALONE: Final[dict[str, Rung]] = {
    "D01": "step-up",
    "D02": "note",
    "D03": "suspend",
    "D04": "recommend",
    "D05": "recommend",
    "D06": "note",
    "D07a": "suspend",
    "D07b": "step-up",
    "D08": "note",
    "D09": "recommend",
    "D10": "step-up",
    "D11": "step-up",
    "D12": "recommend",
    "D13": "suspend",
    "D14": "recommend",
    "D15": "step-up",
}
_TOGETHER: Final[dict[str, Rung]] = {
    **_ALONE,
    **dict.fromkeys(("D01", "D05", "D07b", "D11", "D15"), "suspend"),
    "D02": "recommend",
    "D04": "step-up",
    "D06": "recommend",
    "D08": "recommend",
}
"""With a second, independent detector behind it. D10 throttles, D12 and D14 point somewhere: they suspend nobody either way."""
_FAMILIES: Final[dict[str, str]] = {
    **dict.fromkeys(("D01", "D02", "D03", "D04", "D09", "D15"), "how much was read"),
    "D05": "what was tried",
    "D06": "what is new",
    "D07a": "the credential",
    "D07b": "the credential",
    "D08": "when",
    "D10": "inference",
    "D11": "what was tried",
    "D12": "the recording itself",
    "D13": "decoys",
    "D14": "other findings",
}
_NEVER_SECOND: Final = frozenset({"D12", "D14"})
"""About agents, or made of other findings: no witness against a principal."""
_OUR_WORK: Final = "R"
"""So begin findings of the responder and the outbox, about what they did, whatever comes after it: they tell people, and lock nobody."""
_SIGNALS_THAT_COUNT: Final[dict[str, frozenset[str]]] = {"D04": frozenset({"D06", "D07a", "D07b"})}
"""A signal is no second voice, except where the table of detectors says so."""


def lower(one: Rung, other: Rung) -> Rung:
    """The lower of two rungs."""
    return min(one, other, key=RUNGS.index)


def asked(finding: Finding) -> Rung:
    """What a finding asks for, as a rung: signals and alerts are for people to read."""
    return finding.act if finding.act in ("step-up", "suspend") else "note"


def most(detector: str, *, seconded: bool) -> Rung:
    """The highest rung that a detector reaches. One that the table does not name is somebody's own rule: at most step-up."""
    if detector.startswith(_OUR_WORK):
        return "recommend"
    return (_TOGETHER if seconded else _ALONE).get(detector, "step-up")


def family(detector: str) -> str:
    """What kind of evidence a detector looks at; own rules may look at anything, so they are one family."""
    return _FAMILIES.get(detector, "own rules")


def seconds(finding: Finding, detector: str, act: str, shared: bool) -> bool:
    """Whether what `detector` said (`act`) backs a finding: another kind of evidence, and for own rules not the very same events (`shared`)."""
    if detector in _NEVER_SECOND or detector.startswith(_OUR_WORK) or family(detector) == family(finding.detector):
        return False
    if shared and "own rules" in (family(detector), family(finding.detector)):
        return False
    return act != "signal" or detector in _SIGNALS_THAT_COUNT.get(finding.detector, frozenset())


def counts(finding: Finding) -> str:
    """Why a finding is no witness for others, or nothing: what may not act must not tip others into acting."""
    if finding.suppressed:
        return "suppressed"
    if finding.mode != "auto":
        return f"mode {finding.mode}"
    if finding.missing:
        return "a floor"
    return "about an agent" if finding.subject == "agent" else ""
