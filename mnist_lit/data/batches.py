"""Batches of uint8 images by whole-batch indexing: no Python per sample, no worker processes needed.

The order of the training samples is a function of (seed, epoch) alone. Several processes share one global order: with W
processes and batches of B, step k trains on the samples k·W·B … (k+1)·W·B of it, each process on every W-th of them. A
loader remembers how many batches it has given, so that a run resumed in mid-epoch goes on with the next one.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from mnist_lit.data.counter_rng import permutation


class Batch(NamedTuple):
    """What the network is trained and tested on.

    Attributes:
        images: `(B, 1, 28, 28)` uint8, filtered (float32, 0 to 255, after augmentation).
        targets: `(B,)` int64.
        indices: `(B,)` int64, each sample's place in the file it came from.
    """

    images: Tensor
    targets: Tensor
    indices: Tensor


class DigitDataset(Dataset[Batch]):
    """Images held in memory, indexed a whole batch at a time.

    Args:
        images: `(N, 1, 28, 28)` uint8.
        targets: `(N,)` int64.
        indices: `(N,)` int64, see `Batch.indices`.
    """

    def __init__(self, images: Tensor, targets: Tensor, indices: Tensor) -> None:
        self.images = images
        self.targets = targets
        self.indices = indices

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> "DigitDataset":
        """Return the same images on a device, copied there whole (47 MB for MNIST), or itself if they are there."""
        if device == self.images.device:
            return self
        return DigitDataset(*(part.to(device) for part in (self.images, self.targets, self.indices)))

    def __getitem__(self, positions: Tensor) -> Batch:
        return Batch(self.images[positions], self.targets[positions], self.indices[positions])


class BatchOrder(DistributedSampler[Tensor]):
    """Which samples make up each batch of this process.

    A subclass of `DistributedSampler` only so that Lightning leaves it in place: stock samplers pad the last batches
    with duplicates, which spoils a score.

    Args:
        size: number of samples N.
        batch_size: samples per batch and process.
        shuffle: draw a new order each epoch (training), or keep the order of the file (everything else).
        seed: seed of the order.
        num_replicas: number of processes.
        rank: which of them this is.
        device: where the positions are wanted. An epoch's order is copied there at once; its batches are slices of it.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.num_replicas = num_replicas
        self.rank = rank
        self.device = device
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        if not self.shuffle:  # evaluation: processes may have different numbers of batches, since none waits in a step
            return math.ceil(len(range(self.rank, self.size, self.num_replicas)) / self.batch_size)
        whole, rest = divmod(self.size, self.batch_size * self.num_replicas)
        # In training every process must take part in every step: a rest smaller than the number of processes is
        # left for another epoch's order. With one process there is no such rest.
        return whole + (rest >= self.num_replicas)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield `(B,)` int64 positions, from batch `start` on."""
        step = self.batch_size * self.num_replicas
        order = permutation(self.seed, self.epoch, self.size) if self.shuffle else torch.arange(self.size)
        order = order.to(self.device)
        own = order[self.rank :: self.num_replicas]
        for batch in range(self.start, len(self)):
            if self.shuffle:
                yield order[batch * step : (batch + 1) * step][self.rank :: self.num_replicas]
            else:
                yield own[batch * self.batch_size : (batch + 1) * self.batch_size]


class BatchLoader(DataLoader[Batch]):
    """A `DataLoader` over whole batches that can be stopped and resumed between any two of them.

    Lightning stores `state_dict` in its checkpoints and hands it back before the first batch of a resumed run.
    """

    def __init__(self, dataset: DigitDataset, sampler: BatchOrder, num_workers: int = 0) -> None:
        super().__init__(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=num_workers,
            multiprocessing_context="spawn" if num_workers else None,
            persistent_workers=num_workers > 0,
        )
        self._position = {"epoch": -1, "batches_given": 0}
        self._resume = dict(self._position)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # the stock class promises a private iterator type
        """Yield the batches of one epoch: from its middle if that is the epoch in which the run was stopped."""
        order = self.sampler
        assert isinstance(order, BatchOrder)
        order.start = self._resume["batches_given"] if self._resume["epoch"] == order.epoch else 0
        self._position = {"epoch": order.epoch, "batches_given": order.start}
        # Without workers the stock loader would only walk through each batch once more, looking for arrays in it.
        batches = super().__iter__() if self.num_workers else map(self.dataset.__getitem__, order)
        for batch in batches:
            self._position["batches_given"] += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch of the last batch given and how many of that epoch have been given."""
        return dict(self._position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in that epoch after that many batches; every other epoch starts with its first batch."""
        self._resume = {"epoch": int(state["epoch"]), "batches_given": int(state["batches_given"])}
        self._position = dict(self._resume)


class PlainBatches:
    """The batches of a loader and nothing else.

    Lightning rebuilds every `DataLoader` that it predicts from, to keep track of sample indices. Our batches carry
    their own indices, and a loader of whole batches cannot be rebuilt its way.

    Args:
        loader: where the batches come from.
    """

    def __init__(self, loader: BatchLoader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)
