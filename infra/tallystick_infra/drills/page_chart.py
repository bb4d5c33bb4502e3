"""The report's two pictures as SVG: who did what when, and the hops from the event that crossed the line to the refusals."""

from math import ceil, floor, log10
from typing import Final

from .page_text import escape
from .results import Moment, Result

_WIDTH: Final = 1056
_LEFT: Final = 104
_RIGHT: Final = 24
_LANE: Final = 44
LANES: Final = (("attack", "hostile"), ("benign", "others"), ("agent", "agents"), ("finding", "findings"), ("response", "response"))
HOPS: Final = {
    "recorded_to_finding": "from the event that crossed the line, recorded, to the finding",
    "finding_to_lock": "from the finding to the lock",
    "lock_to_cut": "from the lock to the cut download",
    "lock_to_refused": "from the lock to the first refused request",
    "lock_to_probe_refused": "from the lock to the refused probe",
}


def chart(result: Result) -> str:
    """One lane a side; a bar where events came in a row, a diamond for a finding, a ring for what was denied. Seconds since the first hostile event."""
    shown = [(lane, name) for lane, name in LANES if any(one.lane == lane for one in result.timeline)]
    if not shown:
        return "<p class=soft>The record holds no event of this drill.</p>"
    zero = result.grades.began
    # What was set up and struck around the play would press it together: it is in the table below.
    ends = [mark.at for mark in result.grades.expected if mark.at] + [
        one.last or one.recorded for one in result.timeline if one.lane == "attack"
    ]
    low, high = min(one.recorded for one in result.timeline) - zero, max(ends, default=result.ended) - zero + 1.0
    low = max(low, -0.15 * (high + 1))
    scale = (_WIDTH - _LEFT - _RIGHT) / max(high - low, 0.1)
    height = _LANE * len(shown) + 40

    def x(at: float) -> float:
        return _LEFT + (min(max(at - zero, low), high) - low) * scale

    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Timeline of the drill">']
    for tick in _ticks(low, high):
        at = _LEFT + (tick - low) * scale
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="8" y2="{height - 28}"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 10}" text-anchor="middle">{tick:g} s</text>')
    for row, (lane, name) in enumerate(shown):
        y = 8 + row * _LANE + _LANE / 2
        parts.append(f'<text class="lanename {lane}" x="0" y="{y + 4:.0f}">{name}</text>')
        inside = [one for one in result.timeline if one.lane == lane and low <= one.recorded - zero <= high]
        parts += [_shape(one, lane, x(one.recorded), x(one.last or one.recorded), y) for one in inside]
    return "".join([*parts, "</svg>"])


def _shape(one: Moment, lane: str, start: float, end: float, y: float) -> str:
    said = f"<title>{escape(f'{one.who}: {one.what}')}{f' ({one.count} events)' if one.count > 1 else ''}</title>"
    if lane == "finding":
        return f'<path class="{lane}" d="M{start:.1f} {y - 8:.1f}l8 8l-8 8l-8 -8z">{said}</path>'
    if one.denied:
        return f'<circle class="ring" cx="{start:.1f}" cy="{y:.1f}" r="6">{said}</circle>'
    if lane == "response":
        return f'<rect class="{lane}" x="{start - 5:.1f}" y="{y - 5:.1f}" width="10" height="10">{said}</rect>'
    return f'<rect class="{lane}" x="{start:.1f}" y="{y - 6:.1f}" width="{max(end - start, 4):.1f}" height="12" rx="3" opacity=".75">{said}</rect>'


def _ticks(low: float, high: float) -> list[float]:
    """Round steps, four to nine of them."""
    step = 10 ** floor(log10(max(high - low, 0.1) / 4))
    step = next(size for size in (step, 2 * step, 5 * step, 10 * step) if (high - low) / size <= 9)
    return [round(number * step, 3) for number in range(ceil(low / step), floor(high / step) + 1)]


def hops(result: Result) -> str:
    """One bar a hop, in ms."""
    measured = [(HOPS[name], result.grades.hops_ms[name]) for name in HOPS if name in result.grades.hops_ms]
    if not measured:
        return ""
    most = max(1.0, *(ms for _, ms in measured))
    parts = [f'<svg viewBox="0 0 {_WIDTH} {32 * len(measured) + 4}" role="img" aria-label="Hops in milliseconds">']
    for row, (name, ms) in enumerate(measured):
        y, width = 4 + row * 32, max(2.0, 440 * max(ms, 0.0) / most)
        parts.append(
            f'<text x="0" y="{y + 16}">{escape(name)}</text><rect class="hopbg" x="440" y="{y + 4}" width="440" height="16" rx="3"/>'
        )
        parts.append(f'<rect class="hop" x="440" y="{y + 4}" width="{width:.1f}" height="16" rx="3"/>')
        parts.append(f'<text class="value" x="896" y="{y + 17}">{ms:,.0f} ms</text>')
    return "".join([*parts, "</svg>"])
