"""The metrics, each against the same score computed here with NumPy from its definition."""

import numpy as np
import pytest
import torch

from mnist_lit.model.metrics import CALIBRATION_BINS, Answers, curve_metrics, mean_loss, score_metrics

CLASSES, N = 10, 500


@pytest.fixture(scope="module")
def answers():
    """Logits `(500, 10)` that are right about as often as not, and targets `(500,)`."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, CLASSES, N)
    logits = rng.normal(size=(N, CLASSES))
    logits[np.arange(N), targets] += 1.5
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(targets)


@pytest.fixture(scope="module")
def scores(answers):
    logits, targets = answers
    metrics = score_metrics(CLASSES)
    for start in range(0, N, 96):  # the last batch is smaller than the others
        metrics.update(logits[start : start + 96], targets[start : start + 96])
    return metrics.compute()


def test_accuracy_is_the_share_of_right_answers(answers, scores):
    logits, targets = (tensor.numpy() for tensor in answers)
    expected = (logits.argmax(axis=1) == targets).mean()
    assert 0.3 < expected < 0.7
    assert float(scores["acc"]) == pytest.approx(expected)


def test_accuracy_per_class_is_over_the_images_of_the_class(answers, scores):
    logits, targets = (tensor.numpy() for tensor in answers)
    right = logits.argmax(axis=1) == targets
    expected = [right[targets == label].mean() for label in range(CLASSES)]
    np.testing.assert_allclose(scores["acc_per_class"].numpy(), expected, rtol=1e-6)


def test_confusion_has_truth_in_rows_and_answers_in_columns(answers, scores):
    logits, targets = (tensor.numpy() for tensor in answers)
    expected = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(expected, (targets, logits.argmax(axis=1)), 1)
    assert not np.array_equal(expected, expected.T)
    np.testing.assert_array_equal(scores["confusion"].numpy(), expected)


def test_calibration_error_is_the_mean_gap_of_15_bins(answers, scores):
    logits, targets = (tensor.numpy().astype(np.float64) for tensor in answers)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        (bins == one).mean() * abs(right[bins == one].mean() - confidence[bins == one].mean())
        for one in np.unique(bins)
    ]
    assert float(scores["ece"]) == pytest.approx(sum(gaps), abs=1e-6)


def test_curve_accuracy_equals_the_final_one(answers, scores):
    metrics = curve_metrics(CLASSES)
    metrics.update(*answers)
    assert float(metrics.compute()["acc"]) == pytest.approx(float(scores["acc"]))


def test_answers_come_in_the_order_of_the_samples(answers):
    logits, targets = answers
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    metric = Answers()
    for part in order.split(64):
        metric.update(logits[part], targets[part], part)
    found = metric.compute()
    assert torch.equal(found["indices"], torch.arange(N))
    assert torch.equal(found["targets"], targets)
    assert torch.equal(found["answers"], logits.argmax(dim=1))
    torch.testing.assert_close(found["confidences"], logits.softmax(dim=1).amax(dim=1))


def test_answers_are_forgotten_on_reset(answers):
    logits, targets = answers
    metric = Answers()
    metric.update(logits, targets, torch.arange(N))
    metric.reset()
    metric.update(logits[:3], targets[:3], torch.tensor([2, 0, 1]))
    assert len(metric.compute()["targets"]) == 3


def test_mean_loss_weighs_batches_by_their_size():
    metric = mean_loss()
    metric.update(torch.tensor(1.0), 3)
    metric.update(torch.tensor(5.0), 1)
    assert float(metric.compute()) == pytest.approx(2.0)
