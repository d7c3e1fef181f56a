"""How many updates go into one dispatch."""

import time

import pytest

from jaxdl import process
from jaxdl.train import pace


def test_a_first_guess_keeps_the_host_under_its_share():
    for flops in (1e3, 1e6, 1e9, 1e12, 1e15):
        per_call = pace.first_guess(flops, "cpu", most=10**9)
        seconds = flops / 2e11
        assert pace.SHARE * per_call * seconds >= 4e-4
        assert per_call == 1 or pace.SHARE * per_call / 2 * seconds < 4e-4  # and no larger
    assert pace.first_guess(1e15, "tpu", most=10**9) == 1
    assert pace.first_guess(1e3, "cpu", most=7) == 7


def test_calls_end_at_events_and_their_batches_find_room():
    assert pace.limit(13, batch_bytes=1000) == 13
    assert pace.limit(10**6, batch_bytes=1000) == 256
    assert pace.limit(10**6, batch_bytes=2**26) == 4
    assert pace.limit(10**6, batch_bytes=2**40) == 1


def timed(monkeypatch, per_call, host_seconds, call_seconds, calls=40):
    """A stopwatch that saw ``calls`` calls, by a clock of our own."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    watch = pace.Stopwatch(per_call)
    for _ in range(calls + 1):
        watch.call(per_call, host_seconds)
        now[0] += call_seconds
    return watch


@pytest.mark.parametrize("per_call, host_ms, call_ms, left, compile_s, expected", [
    (1, 0.4, 20.4, 10**5, 5, 1),  # just enough
    (1, 0.4, 10.4, 10**5, 5, 2),
    (1, 0.4, 10.4, 10**4, 5, 1),  # would save 2 of 5 seconds
    (8, 0.4, 8.4, 10**6, 5, 32),  # 1 ms an update
    (8, 0.4, 8.4, 10**5, 5, 8),  # saves 3.75 of 5 seconds
    (64, 0.1, 64.1, 10**6, 0, 64),  # never fewer
])  # fmt: skip
def test_a_larger_call_must_pay_for_its_compilation(
    per_call, host_ms, call_ms, left, compile_s, expected, monkeypatch
):
    watch = timed(monkeypatch, per_call, host_ms / 1e3, call_ms / 1e3)
    assert watch.better(most=1000, updates_left=left, compile_seconds=compile_s) == expected


def test_nothing_is_decided_on_a_few_calls(monkeypatch):
    assert timed(monkeypatch, 1, 1e-3, 1.0, calls=10).better(100, 10**6, 0) is None
    assert timed(monkeypatch, 1, 1e-5, 1e-4, calls=100).better(100, 10**6, 0) is None
    assert pace.Stopwatch(1).better(100, 10**6, 0) is None


def test_time_since_the_command_counts_the_imports():
    seconds = process.seconds_since_start()
    assert 0 < time.monotonic() - process._IMPORTED < seconds < 3600
