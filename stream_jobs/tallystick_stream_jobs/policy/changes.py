"""Every change of a policy is an event in the history, once: whichever process of a deployment sees it first records it.

What was recorded last stands in the spool, in the same transaction as the event, so that neither a crash nor a second process tells it twice.
People's commands sign as `cli` and detection as `detectors`, so there are two spools to ask; a number says which of their places is the newer one.
"""

import difflib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_producers.spool import Spool

from .files import one_at_a_time, write_whole

AGENT: Final = "detectors"
"""Who signs what detection does by itself: changes of its policy, and its findings."""
_AGENTS: Final = ("cli", AGENT)
_LOCK: Final = "policy.lock"
_MAX_LINES, _MAX_LINE, _MAX_TEXT = 20, 120, 1500


def digest_of(text: str | None) -> str:
    """SHA-256 of the file's text in hex; empty: there is no file."""
    return "" if text is None else sha256(text.encode()).hexdigest()


_ITSELF: Final = Actor(AGENT, "service")


@dataclass(frozen=True)
class By:
    """Who changed a policy, and why; by default detection found it changed."""

    actor: Actor = _ITSELF
    reason: str = ""


_FOUND: Final = By()


def record_change(recorder: Recorder, state_dir: Path, name: str, text: str | None, by: By = _FOUND) -> bool:
    """Record that file `name` now reads `text` (None: it is gone), unless that is recorded already; whether it was not."""
    with one_at_a_time(state_dir / _LOCK):
        return _record(recorder, state_dir, name, text, by)


def change_file(recorder: Recorder, state_dir: Path, path: Path, text: str, by: By) -> bool:
    """Write a policy that was checked, and record it before anybody else can; False when it was in force already."""
    with one_at_a_time(state_dir / _LOCK):
        # If we crash after the first line, detection finds the file changed and records that, without our name.
        write_whole(path, text)
        return _record(recorder, state_dir, path.name, text, by)


def _record(recorder: Recorder, state_dir: Path, name: str, text: str | None, by: By) -> bool:
    source, after = f"policy/{name}", digest_of(text)
    number, before = _recorded_last(recorder, source)
    if before == after:
        return False
    kept = last_text(state_dir, name)
    earlier = kept if digest_of(kept) == before else None
    diff = short_diff(earlier, text, known=earlier is not None or not before)
    told = " ".join(by.reason.split())[:400]
    event = {
        "action": "policy.update",
        "actor": by.actor,
        "resource": Resource("policy", name, after[:16] or None),
        "why": Why(text=f"{told}\n{diff}".strip()[:_MAX_TEXT]),
        "attrs": {"sha256_before": before or "none", "sha256_after": after or "none"},
    }
    recorder.record_batch_at(source, f"{number + 1} {after}", [event])
    # If we crash here, the change is recorded and the next one has no text to be compared with.
    _keep_text(state_dir, name, text)
    return True


def _recorded_last(recorder: Recorder, source: str) -> tuple[int, str]:
    """The number and digest of the newest change that any of our agents recorded; (0, "") before the first."""
    own = Path(recorder.settings.spool_dir)
    places = [recorder.place(source)]
    for folder in (own.parent / name for name in _AGENTS if name != own.name):
        if (folder / "spool.sqlite").exists():
            spool = Spool(folder, durable=False)
            places.append(spool.place(source))
            spool.close()
    known = [(int(number), digest) for place in places if place for number, _, digest in [place.partition(" ")]]
    return max(known, default=(0, ""))


def last_text(state_dir: Path, name: str) -> str | None:
    """The file as it was recorded last, or None."""
    try:
        return _copy(state_dir, name).read_bytes().decode()
    except FileNotFoundError:
        return None


def short_diff(before: str | None, after: str | None, *, known: bool = True) -> str:
    """The lines that went (-) and came (+), at most 20."""
    if not known:
        return "(what it said before is not known)"
    lines = difflib.unified_diff((before or "").splitlines(), (after or "").splitlines(), n=0, lineterm="")
    changed = [line[:_MAX_LINE] for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()]
    more = [f"… and {len(changed) - _MAX_LINES} more lines"] if len(changed) > _MAX_LINES else []
    return "\n".join(changed[:_MAX_LINES] + more)


def _copy(state_dir: Path, name: str) -> Path:
    return state_dir / f"recorded-{name.replace('%', '%25').replace('/', '%2f')}"


def _keep_text(state_dir: Path, name: str, text: str | None) -> None:
    if text is None:
        _copy(state_dir, name).unlink(missing_ok=True)
    else:
        write_whole(_copy(state_dir, name), text)
