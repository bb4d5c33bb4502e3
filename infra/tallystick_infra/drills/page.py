"""The after-action report: one HTML file that loads nothing, runs nothing and escapes everything. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from tallystick_schemas.words import counted

from .grade import Mark, size
from .page_chart import LANES, chart, hops
from .page_style import CSS, policy
from .page_text import escape
from .results import Moment, Result

_NAMES = dict(LANES)


def page(result: Result) -> str:
    """The whole document."""
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(policy())}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(result.title)} – drill {escape(result.run)}</title><style>{CSS}</style></head><body><main>"
    )
    return "".join(
        [head, _top(result), _tiles(result), _picture(result), _expectations(result), _told(result), _table(result), _foot(result)]
    )


def _top(result: Result) -> str:
    verdict = '<span class="badge pass">✓ passed</span>' if result.passed else '<span class="badge fail">✗ failed</span>'
    story = escape(" ".join(result.story.split()))
    chips = "".join(f'<span class="chip">{escape(one)}</span>' for one in result.techniques)
    return (
        f'<header>{verdict} <span class="soft">Drill <span class="mono">{escape(result.run)}</span> · {escape(result.scenario)} · '
        f"{_day(result.began)} · deployment {escape(result.deployment)}</span><h1>{escape(result.title)}</h1><p>{story}</p><p>{chips}</p>"
        + "".join(f'<p class="no">{escape(error)}</p>' for error in result.errors)
        + "</header>"
    )


def _tiles(result: Result) -> str:
    lost, history = result.grades.lost, result.history
    met = sum(mark.met for mark in (*result.grades.expected, *result.grades.must_not))
    tiles = [
        (f"{met} of {len(result.grades.expected) + len(result.grades.must_not)}", "expectations held"),
        (_first(result, "finding"), "to the expected finding"),
        (_first(result, "lock"), "to the expected lock"),
        (size(lost.bytes), _budget(result)),
        (counted(history.entries, "entry", "entries"), "history verified" if history.verified else "history does not verify"),
    ]
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
        + "</div>"
    )


def _budget(result: Result) -> str:
    lost = result.grades.lost
    if lost.most_objects is None or lost.most_bytes is None:
        return f"and {counted(lost.objects, 'object')} lost"
    return f"and {counted(lost.objects, 'object')} lost; the budget is {size(lost.most_bytes)} and {lost.most_objects}"


def _first(result: Result, word: str) -> str:
    """Seconds to the first mark whose words speak of it."""
    times = [mark.after_s for mark in result.grades.expected if mark.after_s is not None and word in mark.words.split(" (")[0].split()]
    return f"{min(times):.2f} s" if times else "–"


def _picture(result: Result) -> str:
    drawn = hops(result)
    return (
        '<h2>What happened</h2><p class="soft">Seconds since the first hostile event was recorded, by the broker’s clock. Bars are events in a '
        f'row, diamonds findings, squares acts of the responder, rings what was denied.</p><div class="card">{chart(result)}</div>'
        + (f'<h2>Hops</h2><div class="card">{drawn}</div>' if drawn else "")
    )


def _expectations(result: Result) -> str:
    rows = [_mark(mark) for mark in (*result.grades.expected, *result.grades.must_not)]
    head = '<tr><th></th><th>Expected of the record</th><th class="num">after</th><th class="num">within</th><th>What it shows</th><th>Evidence</th></tr>'
    return f'<h2>Expectations</h2><div class="card"><table>{head}{"".join(rows)}</table></div>'


def _mark(mark: Mark) -> str:
    after = f"{mark.after_s:.2f} s" if mark.after_s is not None else ("never" if mark.within_s is not None and not mark.met else "–")
    within = f"{mark.within_s:g} s" if mark.within_s is not None else "–"
    sign = '<td class="mark yes" aria-label="held">✓</td>' if mark.met else '<td class="mark no" aria-label="broken">✗</td>'
    return (
        f"<tr{'' if mark.met else ' class=broken'}>{sign}"
        f'<td>{escape(mark.words)}</td><td class="num">{after}</td><td class="num">{within}</td><td>{escape(mark.seen) or "–"}</td>'
        f'<td class="place">{_places(mark)}</td></tr>'
    )


def _places(mark: Mark) -> str:
    shown = ["{}:{}:{}".format(*place) for place in mark.places[-2:]]
    more = f" +{len(mark.places) - len(shown)}" if len(mark.places) > len(shown) else ""
    return "<br>".join(shown) + more or "–"


def _told(result: Result) -> str:
    if not result.told:
        return ""
    return f"<h2>What the players did</h2><ul>{''.join(f'<li>{escape(one)}</li>' for one in result.told)}</ul>"


def _table(result: Result) -> str:
    names = ("side", "who", "what", "events", "place")
    head = "".join(['<tr><th class="num">event time</th><th class="num">recorded</th>', *(f"<th>{name}</th>" for name in names), "</tr>"])
    return (
        '<h2>Timeline</h2><p class="soft">Event time is what the agent said, recorded is the broker’s; places are shard:index:position in the history. UTC.</p>'
        f'<div class="card"><table>{head}{"".join(_rows(result.timeline))}</table></div>'
    )


def _rows(moments: Iterable[Moment]) -> Iterable[str]:
    for one in moments:
        place = "{}:{}:{}".format(*one.place)
        yield (
            f'<tr><td class="num">{_clock(one.time)}</td><td class="num">{_clock(one.recorded)}</td><td class="lane {one.lane}">{_NAMES[one.lane]}</td>'
            f'<td class="who">{escape(one.who)}</td><td>{escape(one.what)}</td><td class="num">{one.count}</td><td class="place">{place}</td></tr>'
        )


def _foot(result: Result) -> str:
    history = result.history
    failures = "".join(f"<li>{escape(one)}</li>" for one in history.failures)
    seen = f"{counted(history.entries, 'entry', 'entries')}, {counted(history.events, 'event')}"
    return (
        f"<footer><p>The whole history was recomputed after the drill: integrity {escape(history.integrity)}, completeness {escape(history.completeness)}, "
        f"freshness {escape(history.freshness)}; {seen}.</p>{f'<ul>{failures}</ul>' if failures else ''}"
        f"<p>Afterwards: {escape(result.cleaned)} Its events stay in the history, marked with <code>drill: {escape(result.run)}</code>. "
        f"Seed {result.seed}. To check again: <code>tallystick audit verify</code>.</p></footer></main></body></html>"
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
