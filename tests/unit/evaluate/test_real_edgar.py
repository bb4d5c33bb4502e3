"""The real log, which is not part of the project: that the figures of docs/evaluation.md are within reach. One draw, no baseline forest."""

import os
from pathlib import Path

import pytest

from tallystick_infra.evaluate import run
from tallystick_infra.evaluate.log import read_log
from tallystick_infra.evaluate.measures import SIMPLE, Detector
from tallystick_stream_jobs.detectors.d15_hijack import Hijack

PATH = Path(os.environ.get("TALLYSTICK_DATA") or Path(__file__).parents[4] / "shared" / "data") / "edgar-20170101-half.csv.gz"


@pytest.mark.skipif(
    not PATH.is_file(), reason=f"the real data is not part of the project: no {PATH} (TALLYSTICK_DATA names another folder)"
)
def test_the_detector_finds_what_distinct_documents_do_not():
    log = read_log(PATH)
    result = run.evaluate(log, lambda *_: None, 1, [Detector(run.OURS, Hijack()), SIMPLE[0]])
    assert (log.rows, log.refused, len(log.users()), len(log.harvesters())) == (100_953, 0, 1228, 46)
    ours = result.recall(run.OURS, 0.01, "one-day").value
    assert ours >= 0.95
    assert ours > result.recall(SIMPLE[0].name, 0.01, "one-day").value
