"""The collector of cycles: what lives long is walked through once, and its cycles are found within the hour all the same."""

import subprocess
import sys

SCRIPT = """
import gc, weakref
from tallystick_stream_jobs import collector

class Ring:
    def __init__(self):
        self.me = self

now = [0.0]
collector.time.monotonic = lambda: now[0]
gc.disable()
kept = [[n] for n in range(1000)]
collector.walk_once()
long_lived = Ring()
long, short = weakref.ref(long_lived), weakref.ref(Ring())
gc.collect(1)
print(gc.get_freeze_count() > 1000, short() is None, long() is not None)
del long_lived
gc.collect()
print(long() is None)
now[0] = collector.SWEEP_EVERY_S
gc.collect()
print(long() is None, gc.get_freeze_count() > 1000)
"""


def test_what_outlives_a_collection_is_set_aside_until_the_hour_is_over() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["True True True", "False", "True True"]
