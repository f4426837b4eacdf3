"""Batches: which samples they hold, that one order is shared by all processes, and that a stopped loader goes on."""

import itertools

import pytest
import torch
from torch.utils.data.distributed import DistributedSampler

from mnist_lit.data.batches import Batch, BatchLoader, BatchOrder, DigitDataset, PlainBatches

SIZE = 101


def dataset(size=SIZE):
    """Images of which each tells its index, with indices that differ from the positions."""
    indices = torch.arange(size) * 3 + 7
    images = indices.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).clone()
    return DigitDataset(images, indices % 10, indices)


def loader(*, epoch=0, workers=0, **order):
    given = BatchLoader(dataset(), BatchOrder(SIZE, 16, **{"shuffle": True, "seed": 1, **order}), workers)
    given.sampler.set_epoch(epoch)
    return given


def steps(*, size=SIZE, batch_size=16, epoch=0, **order):
    """The positions of each batch, as lists."""
    sampler = BatchOrder(size, batch_size, **{"shuffle": True, "seed": 1, **order})
    sampler.set_epoch(epoch)
    batches = [batch.tolist() for batch in sampler]
    assert len(batches) == len(sampler)
    return batches


def flat(batches):
    return list(itertools.chain.from_iterable(batches))


def same(first, second):
    """Whether two lists of batches are equal, field by field."""
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


# What a batch is


def test_a_batch_is_cut_out_of_the_whole():
    data = dataset()
    positions = torch.tensor([100, 3, 3])
    batch = data[positions]
    assert isinstance(batch, Batch)
    assert torch.equal(batch.images, data.images[positions])
    assert batch.indices.tolist() == [307, 16, 16]
    assert batch.targets.tolist() == [7, 6, 6]


def test_a_loader_gives_whole_uint8_batches():
    batches = list(loader())
    assert [len(batch.targets) for batch in batches] == [16] * 6 + [5]
    for batch in batches:
        assert isinstance(batch, Batch)
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape == (len(batch.targets), 1, 28, 28)
        assert batch.targets.dtype == batch.indices.dtype == torch.int64
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices % 256)
        assert torch.equal(batch.targets, batch.indices % 10)


def test_one_batch_is_one_look_into_memory(monkeypatch):
    looks = []
    plain = DigitDataset.__getitem__
    monkeypatch.setattr(DigitDataset, "__getitem__", lambda self, at: looks.append(at) or plain(self, at))
    batches = list(loader())
    assert [len(at) for at in looks] == [len(batch.targets) for batch in batches]


def test_images_that_are_on_the_device_are_not_copied():
    data = dataset()
    assert data.to(torch.device("cpu")) is data


def test_batches_are_cut_out_on_the_device_of_the_images():
    device = torch.device("meta")  # every torch has it: shapes and devices without memory
    order = BatchOrder(SIZE, 16, shuffle=True, seed=1, device=device)
    for batch in BatchLoader(dataset().to(device), order):
        assert {part.device for part in batch} == {device}
        assert batch.images.dtype == torch.uint8
    assert {positions.device for positions in order} == {device}


def test_plain_batches_are_those_of_the_loader():
    plain = PlainBatches(loader())
    assert not isinstance(plain, torch.utils.data.DataLoader)
    assert len(plain) == 7
    assert same(list(plain), list(loader()))


# The order


def test_training_takes_every_sample_once_an_epoch():
    assert sorted(flat(steps())) == list(range(SIZE))


def test_the_order_is_a_function_of_seed_and_epoch():
    assert steps(seed=4, epoch=3) == steps(seed=4, epoch=3)
    orders = {tuple(flat(steps(seed=seed, epoch=epoch))) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_order_does_not_depend_on_the_epochs_before():
    order = BatchOrder(SIZE, 16, shuffle=True, seed=1)
    for epoch in (0, 1, 5):
        order.set_epoch(epoch)
        last = [batch.tolist() for batch in order]
    assert last == steps(epoch=5)


def test_evaluation_keeps_the_order_of_the_file():
    for epoch in (0, 1):
        assert flat(steps(shuffle=False, epoch=epoch)) == list(range(SIZE))


# Several processes


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [101, 96, 100])
def test_the_processes_share_the_batch_of_one_process(size, processes):
    whole = steps(size=size, batch_size=5 * processes, epoch=2)
    parts = [steps(size=size, batch_size=5, epoch=2, num_replicas=processes, rank=rank) for rank in range(processes)]
    assert len({len(part) for part in parts}) == 1  # every process takes part in every step
    left_out = size - len(flat(flat(parts)))
    assert left_out == (size % (5 * processes) if size % (5 * processes) < processes else 0)
    for step, batches in enumerate(zip(*parts, strict=True)):
        assert sorted(flat(batches)) == sorted(whole[step])
        assert all(batches)


def test_the_samples_left_out_differ_from_epoch_to_epoch():
    left_out = []
    for epoch in range(5):
        given = flat(flat(steps(batch_size=25, epoch=epoch, num_replicas=4, rank=rank) for rank in range(4)))
        left_out += set(range(SIZE)) - set(given)
    assert len(left_out) == 5
    assert len(set(left_out)) > 1


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("batch_size", [1, 7, 50, 500])
def test_evaluation_scores_every_sample_exactly_once(processes, batch_size):
    parts = [
        steps(shuffle=False, batch_size=batch_size, num_replicas=processes, rank=rank) for rank in range(processes)
    ]
    assert sorted(flat(flat(parts))) == list(range(SIZE))


@pytest.mark.parametrize("processes", [2, 3, 4, 8])
def test_the_stock_sampler_would_score_some_twice(processes):
    ranks = [
        DistributedSampler(range(SIZE), num_replicas=processes, rank=rank, shuffle=False) for rank in range(processes)
    ]
    assert len(flat(ranks)) > SIZE
    assert set(flat(ranks)) == set(range(SIZE))


def test_lightning_would_leave_the_order_in_place():
    assert isinstance(BatchOrder(SIZE, 16, shuffle=False), DistributedSampler)


# Stopping and going on


@pytest.mark.parametrize("given", [0, 1, 4, 7])
def test_a_stopped_loader_goes_on_with_the_next_batch(given):
    stopped = loader(epoch=2)
    taken = list(itertools.islice(stopped, given))
    resumed = loader(epoch=2)
    resumed.load_state_dict(stopped.state_dict())
    assert same(taken + list(resumed), list(loader(epoch=2)))


def test_a_loader_without_its_state_starts_again():
    stopped = loader(epoch=2)
    taken = list(itertools.islice(stopped, 4))
    assert not same(taken + list(loader(epoch=2)), list(loader(epoch=2)))


def test_a_resumed_loader_goes_on_in_that_epoch_only():
    stopped = loader(epoch=2)
    list(itertools.islice(stopped, 4))
    resumed = loader(epoch=2)
    resumed.load_state_dict(stopped.state_dict())
    list(resumed)
    resumed.sampler.set_epoch(3)
    assert same(list(resumed), list(loader(epoch=3)))
    other = loader(epoch=1)
    other.load_state_dict(stopped.state_dict())
    assert same(list(other), list(loader(epoch=1)))


def test_a_loader_can_be_stopped_twice():
    first = loader(epoch=2)
    taken = list(itertools.islice(first, 2))
    second = loader(epoch=2)
    second.load_state_dict(first.state_dict())
    taken += list(itertools.islice(second, 3))
    third = loader(epoch=2)
    third.load_state_dict(second.state_dict())
    assert third.state_dict() == {"epoch": 2, "batches_given": 5}
    assert same(taken + list(third), list(loader(epoch=2)))


def test_a_state_taken_between_two_epochs_skips_nothing():
    finished = loader(epoch=2)
    list(finished)
    finished.sampler.set_epoch(3)  # the next epoch has been announced, and no batch of it been given
    resumed = loader(epoch=3)
    resumed.load_state_dict(finished.state_dict())
    assert same(list(resumed), list(loader(epoch=3)))


def test_the_state_is_a_copy_of_plain_numbers():
    given = loader(epoch=2)
    batches = iter(given)
    next(batches)
    state = given.state_dict()
    next(batches)
    assert state == {"epoch": 2, "batches_given": 1}
    assert all(type(value) is int for value in state.values())


def test_the_rank_of_a_process_does_not_change_its_place():
    stopped = loader(epoch=2, num_replicas=2, rank=0)
    taken = list(itertools.islice(stopped, 2))
    for rank in (0, 1):
        whole = list(loader(epoch=2, num_replicas=2, rank=rank))
        resumed = loader(epoch=2, num_replicas=2, rank=rank)
        resumed.load_state_dict(stopped.state_dict())
        assert same(list(resumed), whole[2:])
    assert same(taken, list(loader(epoch=2, num_replicas=2, rank=0))[:2])


@pytest.mark.slow  # a spawned process imports torch again
def test_a_worker_process_changes_nothing():
    with_worker = loader(epoch=2, workers=1)
    taken = list(itertools.islice(with_worker, 3))
    assert same(taken, list(loader(epoch=2))[:3])
    assert with_worker.state_dict() == {"epoch": 2, "batches_given": 3}  # not what was fetched ahead
    assert same(list(with_worker), list(loader(epoch=2)))
    with_worker.sampler.set_epoch(3)
    assert same(list(with_worker), list(loader(epoch=3)))
    with_worker.load_state_dict({"epoch": 3, "batches_given": 5})
    assert same(list(with_worker), list(loader(epoch=3))[5:])
