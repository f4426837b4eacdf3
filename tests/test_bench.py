"""The `bench` command finds its benchmarks; timings and memory are what they say."""

import json
import sys
import time

import numpy as np
import pytest
from small_models import small_model, write_checkpoint

from mnist_lit.errors import Failure, UsageError
from mnist_lit.study import bench, bench_predict
from mnist_lit.study.bench_predict import EXPORTED, INT8, ONNX, TORCH, Timing, same_answers, table, time_peers
from mnist_lit.study.measuring import Spread, peak_memory, seconds_in_turn, seconds_of, spread
from mnist_lit.use.model_files import load_model_file


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


def test_actions_take_turns_and_the_first_turn_is_not_timed(monkeypatch):
    clock, called = [0.0], []

    def action(name, seconds):
        def call():
            called.append(name)
            clock[0] += seconds

        return call

    monkeypatch.setattr("mnist_lit.study.measuring.time.perf_counter", lambda: clock[0])
    times = seconds_in_turn({"slow": action("slow", 2.0), "fast": action("fast", 0.5)}, rounds=3, calls=2)
    assert times == {"slow": [2.0] * 3, "fast": [0.5] * 3}
    assert "".join(name[0] for name in called) == "ffssssffffssssff"


def test_peak_memory_sees_what_was_allocated_and_keeps_it():
    block = np.ones(2**28, np.uint8)  # 256 MiB, written to
    assert block.sum() == 2**28
    del block
    peak = peak_memory()
    assert peak is None if sys.platform == "win32" else peak >= 256 * 2**20


# ---------------------------------------------------------------------- bench predict


class Peer:
    """Answers class `answer`, in a time of its own."""

    def __init__(self, clock, seconds, answer=0):
        self.clock, self.seconds, self.answer = clock, seconds, answer

    def probabilities(self, images):
        self.clock[0] += self.seconds
        return np.eye(10, dtype=np.float32)[np.full(len(images), self.answer)]


def test_peers_are_timed_and_compared_with_pytorch(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("mnist_lit.study.measuring.time.perf_counter", lambda: clock[0])
    peers = {ONNX: Peer(clock, 0.001), TORCH: Peer(clock, 0.004)}
    images = np.zeros((64, 28, 28), np.uint8)
    found = time_peers(peers, images, rounds=5, calls=2)
    assert found[ONNX].plain(64) == {
        "seconds": {"n": 5, "median": 0.001, "low": 0.001, "high": 0.001},
        "images_per_second": 64_000.0,
        "times_as_fast_as_pytorch": {"n": 5, "median": 4.0, "low": 4.0, "high": 4.0},
    }
    assert found[TORCH].ratio.median == pytest.approx(1.0)


def test_answers_are_counted_against_pytorch():
    clock = [0.0]
    peers = {ONNX: Peer(clock, 0, 3), INT8: Peer(clock, 0, 4), TORCH: Peer(clock, 0, 3)}
    assert same_answers(peers, np.zeros((7, 28, 28), np.uint8)) == {ONNX: 7, INT8: 0, TORCH: 7}


def test_table_has_one_row_per_number_of_images_and_runtime():
    one = Timing(Spread(3, 0.0000765, 0.00007, 0.00008), Spread(3, 4.0, 3.9, 4.1))
    lines = table({1: {ONNX: one}, 64: {ONNX: one}}).splitlines()
    assert lines[1].split() == ["1", "onnxruntime", "0.0765", "(0.0700–0.0800)", "13,072", "4.00", "(3.90–4.10)"]
    assert lines[2].split() == ["64", "onnxruntime", "0.08", "(0.07–0.08)", "836,601", "4.00", "(3.90–4.10)"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["--turns", "0"], "--turns: 0"), (["--turns", "x"], "--turns"), (["--model", "x"], "no such")],
)
def test_wrong_use_of_bench_predict_is_one_line(words, reason):
    with pytest.raises(UsageError, match=reason):
        bench_predict.run(words)


def test_bench_predict_without_the_extra_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "mnist_lit.use.int8", raising=False)
    with pytest.raises(Failure, match=r"onnx is not installed \(pip install 'mnist_lit\[export\]'\)"):
        bench_predict.make_peers(load_model_file(None))


@pytest.mark.slow
def test_bench_predict_measures_four_runtimes_that_agree(tmp_path, capsys):
    model = write_checkpoint(tmp_path / "x.ckpt", small_model("median"))
    assert bench.run(["predict", "--model", str(model), "--turns", "2", "--output", str(tmp_path / "x.json")]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("machine    ", "images  runtime", ONNX, INT8, TORCH, EXPORTED))
    figures = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert {count: set(peers) for count, peers in figures["images"].items()} == {
        count: {ONNX, INT8, TORCH, EXPORTED} for count in ("1", "64", "1024")
    }
    assert figures["same_answers_of_1024"][ONNX] == figures["same_answers_of_1024"][EXPORTED] == 1024
    assert {"onnxruntime", "torch", "processor"} <= figures["environment"].keys()


@pytest.mark.slow
def test_one_digit_takes_a_tenth_of_a_millisecond_with_the_bundled_network():
    peers = bench_predict.make_peers(load_model_file(None))
    images = np.zeros((1, 28, 28), np.uint8)
    timing = time_peers({name: peers[name] for name in (ONNX, TORCH)}, images, rounds=100, calls=20)
    assert timing[ONNX].seconds.low < 2e-4  # 0.1 ms on a machine that does nothing else
    assert timing[ONNX].ratio.median > 1.5
