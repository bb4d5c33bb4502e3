"""The report: everything of the record and nothing from elsewhere; whatever stands in the record is text."""

import base64
import hashlib
import re

import msgspec
import pytest
from tests.support.drills import BEGAN, RUN, scenario, stopped

from tallystick_infra.drills.grade import grade
from tallystick_infra.drills.page import page
from tallystick_infra.drills.results import History, Result, keep, known_runs, read_result
from tallystick_infra.drills.timeline import MAX_MOMENTS, timeline
from tallystick_infra.errors import NoSuchRun


def result(made=None, **more):
    made = made or stopped()
    plan = scenario()
    given = {
        "run": RUN,
        "scenario": "made",
        "title": plan.title,
        "story": plan.story,
        "techniques": plan.techniques,
        "seed": plan.seed,
        "began": BEGAN,
        "ended": BEGAN + 9,
        "deployment": "here",
        "grades": grade(plan, RUN, made.seen, BEGAN),
        "history": History("pass", "pass", "pass", 10, 20, []),
        "timeline": timeline(plan, RUN, made.seen),
        "told": ["thief took <i>all</i>"],
        "errors": [],
        "cleaned": "all is gone",
    }
    return Result(**{**given, **more})


def test_it_loads_nothing_and_runs_nothing():
    html = page(result())
    assert not re.search(r"(?:https?:)?//\w|<script|<link|<iframe|<img|url\(|@import| on\w+=|style=", html)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    assert "default-src &#x27;none&#x27;" in policy
    css = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert base64.b64encode(hashlib.sha256(css.encode()).digest()).decode() in policy
    assert "prefers-color-scheme:dark" in css


def test_what_stands_in_the_record_is_text():
    html = page(result())
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "thief took &lt;i&gt;all&lt;/i&gt;" in html
    assert "read the decoy &lt;b&gt;x&lt;/b&gt;" in html
    assert "<b>x" not in html


def test_it_shows_verdict_times_places_and_hops():
    html = page(result())
    for text in ("✓ passed", "1.50 s", "1:2:0", "390 ms", "event time", "recorded", "drill: a1", "Seed 7", "20 events"):
        assert text in html


@pytest.mark.parametrize(
    "more",
    [
        {"history": History("pass", "pass", "unknown", 1, 1, [])},
        {"history": History("fail", "pass", "pass", 1, 1, ["step 3, shard 0, index 9: <bad>"])},
        {"errors": ["download of thief: OSError"]},
    ],
)
def test_what_spoils_it_is_shown(more):
    spoiled = result(**more)
    assert not spoiled.passed
    assert "✗ failed" in page(spoiled)
    assert "<bad>" not in page(spoiled)


def test_an_empty_record_has_a_page():
    from tests.support.drills import Made

    html = page(result(Made()))
    assert "never" in html
    assert "✗ failed" in html


def test_results_are_kept_and_found_again(tmp_path):
    kept = result()
    path = keep(tmp_path, kept)
    assert path.stat().st_mode & 0o077 == 0
    assert read_result(tmp_path, RUN) == kept
    assert known_runs(tmp_path) == [RUN]
    assert msgspec.json.decode(path.read_bytes())["verdict"] == "pass"
    for name in ("b2", "", "../a1"):
        with pytest.raises(NoSuchRun, match="a1"):
            read_result(tmp_path, name)
    path.write_text("{}")
    with pytest.raises(NoSuchRun, match="can be read"):
        read_result(tmp_path, RUN)


def test_many_alike_events_are_one_line():
    made = stopped()
    for number in range(500):
        made.download(3 + number / 100, 1)
    lines = timeline(scenario(), RUN, made.seen)
    assert len(lines) < 12
    assert sum(line.count for line in lines) == len(made.seen.facts) + 1
    assert len(lines) <= MAX_MOMENTS
