"""Learning to group strokes: examples from pages, the random field, the command."""

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mnist_lit.errors import Failure, UsageError
from mnist_lit.study import fit_segments, segment_learning
from mnist_lit.study.page_digits import VALIDATION, load_digits
from mnist_lit.study.segment_learning import fit_field, train_network
from mnist_lit.study.segment_pages import examples_of, of_a_hand, overlap_of, shares_of
from mnist_lit.use.groups import Group
from mnist_lit.use.recognizer import load_recognizer
from mnist_lit.use.segment_model import from_tensors, load_segment_weights
from mnist_lit.use.segments import best_path


@pytest.fixture(scope="module")
def lines():
    recognizer, weights, digits = load_recognizer(), load_segment_weights(), load_digits("validation")
    return [line for seed in (300, 301) for line in examples_of("easy", seed, digits, recognizer, weights)]


def test_overlap_and_shares_of_boxes():
    boxes, others = np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    np.testing.assert_allclose(overlap_of(boxes, others), [[1, 1 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(shares_of(boxes, others), [[1, 0.5, 0]])


def test_examples_tell_true_groups(lines):
    assert len(lines) >= 4
    assert all(line.is_sound for line in lines)
    right = np.concatenate([line.probabilities[line.is_digit].max(axis=1) for line in lines])
    wrong = np.concatenate([line.probabilities[~line.is_digit].max(axis=1) for line in lines])
    assert right.mean() > wrong.mean()
    assert not any((line.is_digit & line.is_unclear).any() for line in lines)
    assert all(line.must.any() and line.views.shape[1:] == (2, 32, 40) for line in lines)


def _width(image):
    """For its height."""
    across, down = (np.ptp(np.flatnonzero(image.max(axis=axis) > 60)) + 1 for axis in (0, 1))
    return across / down


def test_some_pages_are_of_a_hand_that_writes_wider_or_narrower_or_small_zeros():
    digits = load_digits(VALIDATION)
    shapes = [of_a_hand(digits, seed) for seed in range(40)]
    shares = np.array([np.median([_width(one) for one in images]) for images, _ in shapes])
    usual = float(np.median(shares))
    as_given = np.abs(shares / usual - 1) < 0.05
    assert 0.4 < as_given.mean() < 0.8
    assert shares.min() < 0.87 * usual
    assert shares.max() > 1.3 * usual
    tall = [np.median([np.any(one > 60, axis=1).sum() for one in images[labels == 0]]) for images, labels in shapes]
    assert 0.1 < np.mean(np.array(tall) < 0.62 * np.median(tall)) < 0.6  # zeros
    again = of_a_hand(digits, 7)
    np.testing.assert_array_equal(again[0], shapes[7][0])
    plain = int(np.flatnonzero(as_given)[0])
    known = {image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)}
    assert all(known[one.tobytes()] == label for one, label in zip(*shapes[plain], strict=True))


def test_training_and_validation_digits_are_apart():
    train, validation = load_digits("training"), load_digits("validation")
    assert (len(train.labels), len(validation.labels)) == (55_000, 5_000)
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in validation.images)


def test_scores_are_those_that_the_reader_uses(lines):
    weights = load_segment_weights()
    table = segment_learning._Lines(lines, weights.network)
    own = {name: torch.from_numpy(values) for name, values in weights.tensors().items()}
    expected = [
        weights.group_scores(
            line.measures,
            weights.shape_scores(line.aspects, line.lengths),
            line.probabilities,
            weights.network.log_odds(line.views),
        )
        for line in lines
    ]
    np.testing.assert_allclose(segment_learning._group_scores(own, table).numpy(), np.concatenate(expected), atol=1e-3)


def test_the_sum_over_groupings_is_that_of_each_by_itself(lines):
    """Against an enumeration of all groupings of a small line."""
    line = min((one for one in lines if len(one.must) > 1), key=lambda one: len(one.must))
    count = len(line.must)
    rng = np.random.default_rng(0)
    scores, skips = rng.normal(size=len(line.first)), rng.normal(size=count)
    ways: dict[int, list[tuple[int, float]]] = {place: [(place + 1, skips[place])] for place in range(count)}
    for first, last, score in zip(line.first, line.last, scores, strict=True):
        ways[int(first)].append((int(last) + 1, score))

    def totals(place: int) -> list[float]:
        return [0.0] if place == count else [s + rest for end, s in ways[place] for rest in totals(end)]

    table = segment_learning._Lines([line], load_segment_weights().network)
    found = segment_learning._log_total(torch.tensor(scores).float(), torch.tensor(skips)[None].float(), table)
    assert float(found[0]) == pytest.approx(float(np.logaddexp.reduce(totals(0))), abs=1e-3)
    groups = [Group(0, int(f), int(e), (), 0.0, np.zeros(15)) for f, e in zip(line.first, line.last, strict=True)]
    path = best_path(groups, list(scores), list(skips))
    covered = set(itertools.chain.from_iterable(range(groups[n].first, groups[n].last + 1) for n in path))
    best = sum(scores[n] for n in path) + sum(skips[place] for place in range(count) if place not in covered)
    assert best == pytest.approx(max(totals(0)))


def test_fitting_makes_the_truth_likelier(lines):
    weights = load_segment_weights()
    spoilt = from_tensors(weights.tensors() | {"net": np.zeros(1, np.float32), "whole": np.zeros(2, np.float32)})
    fitted, (before, after) = fit_field(lines, spoilt, 20)
    assert after < 0.7 * before
    assert fitted.network.weights.keys() == weights.network.weights.keys()


def test_the_network_learns(lines):
    losses = []
    network = train_network(lines, 6, 0, lambda epoch, loss: losses.append(loss))
    assert losses[-1] < 0.8 * losses[0]
    again = train_network(lines, 6, 0, lambda epoch, loss: None)
    np.testing.assert_array_equal(again.weights["full1"], network.weights["full1"])


def test_the_command_writes_weights_that_can_be_read(tmp_path, capsys):
    path = tmp_path / "segments.safetensors"
    words = ["--network-pages", "4", "--field-pages", "4", "--epochs", "1", "--processes", "1", "--output", str(path)]
    assert fit_segments.run(words) == 0
    weights = load_segment_weights(path)
    assert weights.measures.shape == (15,)
    assert not np.array_equal(weights.measures, load_segment_weights().measures)
    with safe_open(path, "numpy") as file:
        origin = json.loads(file.metadata()["origin"])
    assert (origin["network_pages"], origin["field_pages"], origin["epochs"]) == (4, 4, 1)
    assert "wrote" in capsys.readouterr().out


def test_several_processes_give_the_lines_of_one():
    weights = load_segment_weights()
    one, two = (fit_segments.collect("validation", range(300, 303), None, weights, processes) for processes in (1, 2))
    assert len(one) == len(two) > 4
    for line, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(line.views, other.views)
        np.testing.assert_array_equal(line.is_digit, other.is_digit)
        np.testing.assert_allclose(line.probabilities, other.probabilities, atol=1e-4)


def test_the_command_refuses_no_pages():
    with pytest.raises(UsageError, match="--field-pages: 0"):
        fit_segments.run(["--field-pages", "0"])


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_of_weights_is_a_failure(tmp_path, content):
    path = tmp_path / "segments.safetensors"
    path.write_bytes(content)
    with pytest.raises(Failure, match="not the weights"):
        load_segment_weights(path)


def test_a_missing_file_of_weights_is_a_failure(tmp_path):
    with pytest.raises(Failure, match="cannot be read"):
        load_segment_weights(tmp_path / "none.safetensors")
