"""Metric collections of torchmetrics: logits and targets in, scores out, right under several processes too."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassConfusionMatrix
from torchmetrics.utilities.data import dim_zero_cat

CALIBRATION_BINS = 15


def curve_metrics(num_classes: int) -> MetricCollection:
    """Return what is followed from epoch to epoch: `acc`, over all samples, in [0, 1]."""
    return MetricCollection({"acc": MulticlassAccuracy(num_classes, average="micro", validate_args=False)})


def score_metrics(num_classes: int) -> MetricCollection:
    """Return what a final score consists of.

    `acc` (overall) and `acc_per_class` `(C,)` in [0, 1], `confusion` `(C, C)` with truth in rows and answers in
    columns, `ece`: expected calibration error with 15 equal bins, L1 norm (Guo et al. 2017).
    """
    return MetricCollection(
        {
            "acc": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
            "acc_per_class": MulticlassAccuracy(num_classes, average="none", validate_args=False),
            "confusion": MulticlassConfusionMatrix(num_classes, validate_args=False),
            "ece": MulticlassCalibrationError(num_classes, n_bins=CALIBRATION_BINS, validate_args=False),
        }
    )


class Answers(Metric):
    """Every answer of an evaluation, gathered from all processes, in the order of the samples.

    `compute` gives a dict of tensors `(N,)`: `indices` (int64), `targets`, `answers` (int64), `confidences` (float32,
    probability of the answer).
    """

    full_state_update = False
    _NAMES = ("indices", "targets", "answers", "confidences")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in self._NAMES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, targets: Tensor, indices: Tensor) -> None:
        """Keep one batch: logits `(B, C)`, targets `(B,)`, indices `(B,)`."""
        confidences, answers = torch.softmax(logits.float(), dim=1).max(dim=1)
        for name, values in zip(self._NAMES, (indices, targets, answers, confidences), strict=True):
            getattr(self, name).append(values)

    def compute(self) -> dict[str, Tensor]:
        """Return all answers, sorted by sample index."""
        columns = {name: dim_zero_cat(getattr(self, name)).cpu() for name in self._NAMES}
        order = torch.argsort(columns["indices"])
        return {name: values[order] for name, values in columns.items()}


def mean_loss() -> MeanMetric:
    """Return a weighted mean: update it with a batch's loss and the batch's size."""
    return MeanMetric()
