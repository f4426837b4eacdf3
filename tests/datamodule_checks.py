"""Small data modules for tests, and what is in them."""

from types import SimpleNamespace

import pytest
import torch

from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain, Gaussian
from mnist_lit.errors import UsageError

VAL = 100


GAUSSIAN = FilterChain([Gaussian(kernel_size=5, sigma=1.0)])


def small(folder, stage="fit", **arguments):
    data = DigitsDataModule(**{"dataset": "idx", "root": folder, "val_size": VAL, **arguments})
    data.setup(stage)
    return data


def trainer(fn="fit", **others):
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    plain = {"state": SimpleNamespace(fn=fn), "world_size": 1, "global_rank": 0, "strategy": strategy}
    return SimpleNamespace(**{**plain, **others})


def part(data, name):
    """Images `(N, 28, 28)`, targets and indices of a part, as numpy arrays."""
    held = data._datasets[name]
    return held.images[:, 0].numpy(), held.targets.numpy(), held.indices.numpy()


def refusal(call, *parts, error=UsageError):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for one in parts:
        assert str(one) in text
    return text


def first_batch(data):
    return next(iter(data.train_dataloader()))
