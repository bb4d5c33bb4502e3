"""Findings as events of the history: the first time `incident.open`, each time it comes again `incident.update`."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.messages import Finding, encode_json

ME: Final = Actor("detectors", "service")
_ROOM: Final = 15_000
"""Bytes of an event's text and attributes; the whole may have 16 KiB."""


def finding_event(finding: Finding, actor: Actor = ME) -> dict[str, Any]:
    """What the recorder takes. Attribute `finding` is the finding as JSON; the others are for whoever searches.

    Names in it come from whoever was found, so it is cut until it fits: a finding that cannot be recorded would stop detection.
    """
    shorter = msgspec.structs.replace(
        finding, text=finding.text[:500], evidence=finding.evidence[-10:], features=dict(list(finding.features.items())[:20])
    )
    attrs, text = _attrs(finding, finding, 500), finding.text[:1000]
    if _size(attrs, text) > _ROOM:
        attrs, text = _attrs(finding, shorter, 500), finding.text[:500]
    if _size(attrs, text) > _ROOM:
        attrs, text = _attrs(finding, None, 200), finding.text[:200]
    return {
        "action": "incident.open" if finding.count == 1 else "incident.update",
        "actor": actor,
        "resource": Resource("finding", finding.id),
        "why": Why(text=text),
        "attrs": attrs,
    }


def _attrs(finding: Finding, shown: Finding | None, longest: int) -> dict[str, str]:
    attrs = {
        "detector": finding.detector,
        "version": str(finding.version),
        "about": finding.principal[:longest],
        "severity": finding.severity,
        "mode": finding.mode,
        "count": str(finding.count),
        "found_at": finding.time,
    }
    for name in ("suppressed", "drill"):
        value = getattr(finding, name)
        if value is not None:
            attrs[name] = value[:longest]
    if shown is not None:
        attrs["finding"] = encode_json(shown).decode()
    return attrs


def _size(attrs: dict[str, str], text: str) -> int:
    return len(msgspec.json.encode((attrs, text)))


def record_findings(recorder: Recorder, epoch: str, partition: int, offset: int, findings: Sequence[Finding]) -> bool:
    """Record what the message before `offset` of a partition gave, once: the place stands in the same transaction. Whether it was new.

    `epoch` names the life of the detectors' state: offsets of a topic that was made anew are others.
    """
    source = f"findings/{epoch}/{partition}"
    place = recorder.place(source)
    if place is not None and int(place) >= offset:
        return False
    recorder.record_batch_at(source, str(offset), [finding_event(finding) for finding in findings])
    return True


def record_told(recorder: Recorder, finding: Finding, actor: Actor) -> bool:
    """Record a finding that another part than detection tells, once each time that it comes again. Whether it was new."""
    source, place = f"told/{finding.id}", f"{finding.count}/{finding.updated or ''}"
    if recorder.place(source) == place:
        return False
    recorder.record_batch_at(source, place, [finding_event(finding, actor)])
    return True
