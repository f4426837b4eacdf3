"""The `bench` command finds its benchmarks; timings and memory are what they say."""

import sys
import time

import numpy as np
import pytest

from mnist_lit.errors import UsageError
from mnist_lit.study import bench
from mnist_lit.study.measuring import Spread, peak_memory, seconds_of, spread


def test_help_lists_every_benchmark(capsys):
    assert bench.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in bench.BENCHMARKS)


def test_no_word_at_all_gets_the_help(capsys):
    assert bench.run([]) == 0
    assert capsys.readouterr().out == bench.documentation()


def test_an_unknown_benchmark_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"^speed: no such benchmark \(one of .*read"):
        bench.run(["speed"])


@pytest.mark.parametrize("name", sorted(bench.BENCHMARKS))
def test_every_benchmark_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        bench.run([name, "--help"])
    assert stop.value.code == 0
    assert f"bench {name}" in capsys.readouterr().out


def test_spread_against_numpy():
    values = list(np.random.default_rng(0).exponential(size=17))
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    assert spread(values) == Spread(17, pytest.approx(median), pytest.approx(low), pytest.approx(high))


def test_spread_of_one_value_has_no_width():
    assert spread([3.0]) == Spread(1, 3.0, 3.0, 3.0)


def test_spread_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        spread([])


def test_spread_as_text_and_plain_data():
    value = Spread(5, 0.3149, 0.2801, 0.36)
    assert value.text() == "0.31 (0.28–0.36)"
    assert value.plain(3) == {"n": 5, "median": 0.315, "low": 0.28, "high": 0.36}


def test_only_the_repeats_are_timed():
    calls = []

    def action():
        calls.append(time.perf_counter())
        time.sleep(0.05 if len(calls) == 1 else 0.002)

    times = seconds_of(action, repeats=3)
    assert len(calls) == 4
    assert len(times) == 3
    assert min(times) >= 0.0019
    assert np.median(times) < 0.05


def test_peak_memory_sees_what_was_allocated_and_keeps_it():
    block = np.ones(2**28, np.uint8)  # 256 MiB, written to
    assert block.sum() == 2**28
    del block
    peak = peak_memory()
    assert peak is None if sys.platform == "win32" else peak >= 256 * 2**20
