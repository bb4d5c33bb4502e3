"""Every detector that we ship, under the one contract (`tests/support/detector_contract.py`), which takes anybody's own as well."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import detector_contract as contract
from tests.support.streams import SILENT, SPEAKS, T0, event

from tallystick_schemas.messages import VerifiedBatch, VerifiedSegment
from tallystick_stream_jobs.detectors.base import Rule
from tallystick_stream_jobs.detectors.d01_bulk_objects import BulkObjects
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine
from tallystick_stream_jobs.detectors.registry import FACTORIES, METAS

IDS = list(METAS)
each = pytest.mark.parametrize("name", IDS)
some = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def rules_of(name: str) -> contract.Factory:
    """The rule alone; D14 with two that it listens to."""
    wanted = {"D14": ("D01", "D05", "D14")}.get(name, (name,))

    def factory() -> tuple[Rule, ...]:
        return tuple(make(None) for make, one in zip(FACTORIES, IDS, strict=True) if one in wanted)

    return factory


def test_every_detector_has_its_streams() -> None:
    assert list(SPEAKS) == list(SILENT) == IDS


@each
def test_contract(name: str) -> None:
    contract.check_contract(rules_of(name), name, SPEAKS[name], SILENT[name])


@each
@some
@given(data=st.data())
def test_batches_can_be_cut_anywhere(name: str, data: st.DataObject) -> None:
    items = SPEAKS[name]
    cuts = data.draw(st.lists(st.integers(1, len(items)), max_size=12))
    contract.law_of_cuts(rules_of(name), items, cuts)


@each
@some
@given(delays=st.lists(st.floats(0, 599), min_size=1, max_size=17), speaks=st.booleans())
def test_ten_minutes_late_changes_nothing(name: str, delays: list[float], speaks: bool) -> None:
    contract.law_of_lateness(rules_of(name), (SPEAKS if speaks else SILENT)[name], delays)


@each
@some
@given(lags=st.lists(st.floats(0, 599), min_size=7, max_size=7))
def test_shards_can_be_interleaved(name: str, lags: list[float]) -> None:
    contract.law_of_interleaving(rules_of(name), SPEAKS[name], lags)


@each
@some
@given(data=st.data())
def test_a_snapshot_anywhere_changes_nothing(name: str, data: st.DataObject) -> None:
    items = SPEAKS[name]
    contract.law_of_snapshots(rules_of(name), items, data.draw(st.integers(0, len(items))), data.draw(st.integers(0, 10)))


def test_a_million_principals_leave_a_bounded_state() -> None:
    """One access each. Whom the engine keeps, and how many bytes they are, does not depend on how many there were."""
    engine, raw = Engine((BulkObjects(),), most=16), event(0, "user-0000000").raw
    for index in range(2000):
        events = [(pos, raw.replace(b"0000000", b"%07d" % (index * 500 + pos))) for pos in range(500)]
        engine.process(VerifiedBatch(1, 0, [VerifiedSegment(index, "gateway-1", "0" * 32, 0, int(T0 * 1000), events)], []))
    principals, size = engine.sizes()
    assert principals == 16 * BUCKETS
    assert size < principals * 256
