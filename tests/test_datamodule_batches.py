"""The batches of the data module: shared by processes, augmented, corrupted; the files of `predict`, downloads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datamodule_checks import GAUSSIAN, VAL, first_batch, part, refusal, small, trainer
from PIL import Image
from small_data import TEST, TRAIN, write_small_set

from mnist_lit.data import datamodule
from mnist_lit.data.augment import Augmentation, random_warp
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain, Invert, RandomGaussian
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.training_corruptions import TrainingCorruptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The first digits of MNIST as a set of its own."""
    return write_small_set(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def mnist():
    return read_set(BUNDLED, "train")


# What is scored, and how


@pytest.mark.parametrize(
    ("arguments", "where"),
    [({}, "meta"), ({"resident": False}, "cpu"), ({"num_workers": 1}, "cpu")],
    ids=["resident", "not resident", "with workers"],
)
def test_images_live_on_the_device_that_trains_unless_told_otherwise(folder, arguments, where):
    data = small(folder, **arguments)
    data.trainer = trainer(strategy=SimpleNamespace(root_device=torch.device("meta")))
    for loader in (data.train_dataloader(), *data.val_dataloader()):
        assert loader.dataset.images.device.type == where
        assert loader.sampler.device.type == where
    assert data.train_dataloader().dataset is data.train_dataloader().dataset  # copied once


@pytest.mark.parametrize(
    ("fn", "val_size", "test_curves", "parts"),
    [
        ("fit", VAL, True, ["val", "test"]),
        ("fit", VAL, False, ["val"]),
        ("fit", 0, True, ["test"]),
        ("fit", 0, False, []),
        ("validate", VAL, True, ["val"]),
        ("test", VAL, True, ["val"]),
    ],
)
def test_val_parts_are_validation_first_and_test_only_as_curves(folder, fn, val_size, test_curves, parts):
    data = small(folder, val_size=val_size, test_curves=test_curves)
    data.trainer = trainer(fn)
    assert data.val_parts == parts
    sizes = {"val": val_size, "test": TEST}
    assert [sum(len(batch.targets) for batch in loader) for loader in data.val_dataloader()] == [
        sizes[name] for name in parts
    ]


def test_the_loaders_take_their_share_of_the_processes(folder):
    data = small(folder, batch_size=50, eval_batch_size=10)
    found = {"train": [], "test": []}
    for rank in range(3):
        data.trainer = trainer(world_size=3, global_rank=rank)
        for name, loader in (("train", data.train_dataloader()), ("test", data.test_dataloader())):
            found[name].append([batch.indices for batch in loader])
    assert [len(batches) for batches in found["train"]] == [4, 4, 4]
    for name, count in (("train", TRAIN - VAL), ("test", TEST)):
        indices = torch.cat([batch for batches in found[name] for batch in batches])
        assert len(indices) == len(indices.unique()) == count


def test_more_processes_than_images_are_refused(folder):
    data = small(folder, val_size=2)
    data.trainer = trainer(world_size=3)
    data.train_dataloader()
    refusal(data.val_dataloader, "trainer.devices: 3 processes", "2 val images", "at most 2")


def test_test_batches_are_the_file_in_its_order(folder):
    batches = list(small(folder, "test", eval_batch_size=30).test_dataloader())
    assert [len(batch.targets) for batch in batches] == [30, 30, 30, 11]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(TEST))


# Augmentation


def test_training_batches_are_augmented_by_seed_epoch_and_index(folder):
    ranges = Augmentation(degrees=10, translate=2)
    data = small(folder, augment=ranges, seed=5)
    data.trainer = trainer(training=True, current_epoch=3)
    batch = first_batch(data)
    found = data.on_after_batch_transfer(batch, 0)
    wanted = random_warp(batch.images, ranges, seed=5, epoch=3, indices=batch.indices)
    assert torch.equal(found.images, wanted)
    assert not torch.equal(wanted, batch.images.float())
    assert torch.equal(found.targets, batch.targets)
    assert torch.equal(found.indices, batch.indices)


def test_batches_to_be_scored_are_not_augmented(folder):
    data = small(folder, augment=Augmentation(degrees=10))
    data.trainer = trainer(training=False, current_epoch=3)
    batch = first_batch(data)
    assert data.on_after_batch_transfer(batch, 0) is batch


def test_without_augmentation_batches_stay_uint8(folder):
    data = small(folder)
    data.trainer = trainer(training=True, current_epoch=0)
    batch = first_batch(data)
    assert data.on_after_batch_transfer(batch, 0) is batch


# Image files


def test_a_folder_of_images_is_predicted(folder, tmp_path):
    raw = read_set(folder, "t10k").images
    for i in range(7):
        Image.fromarray(raw[i]).save(tmp_path / f"{i}.png")
    (tmp_path / "4.png").write_bytes(b"damaged")
    data = DigitsDataModule(images=tmp_path, filters=FilterChain([RandomGaussian(), Invert()]), eval_batch_size=4)
    data.setup("predict")
    assert [file.path.name for file in data.files if file.error] == ["4.png"]
    batches = list(data.predict_dataloader())
    assert [len(batch.indices) for batch in batches] == [4, 2]
    images = torch.cat([batch.images for batch in batches])[:, 0].numpy()
    assert np.array_equal(images, 255 - raw[[0, 1, 2, 3, 5, 6]])


def test_every_process_predicts_all_images(folder, tmp_path):
    raw = read_set(folder, "t10k").images
    for i in range(5):
        Image.fromarray(raw[i]).save(tmp_path / f"{i}.png")
    data = DigitsDataModule(images=[tmp_path])
    data.setup("predict")
    data.trainer = trainer("predict", world_size=2, global_rank=1)
    assert torch.cat([batch.indices for batch in data.predict_dataloader()]).tolist() == list(range(5))


@pytest.mark.parametrize("images", [None, []])
def test_predict_without_images_is_wrong_use(images):
    refusal(lambda: DigitsDataModule(images=images).setup("predict"), "data.images: missing")


# Downloads


@pytest.mark.parametrize(
    ("dataset", "fn", "parts"),
    [("kmnist", "fit", ["train", "t10k"]), ("kmnist", "predict", []), ("mnist", "fit", []), ("idx", "fit", [])],
)
def test_sets_are_downloaded_before_the_processes_read_them(folder, monkeypatch, dataset, fn, parts):
    loaded = []
    monkeypatch.setattr(datamodule, "load_part", lambda *call: loaded.append(call))
    root = folder if dataset == "idx" else None
    data = DigitsDataModule(dataset=dataset, root=root)
    data.trainer = trainer(fn)
    data.prepare_data()
    assert loaded == [(dataset, root, name) for name in parts]


# Training corruptions


def corrupting(folder, chain=GAUSSIAN, p=1.0, **arguments):
    corruptions = TrainingCorruptions(p=p, kinds=("inverse",))
    data = small(folder, filters=chain, training_corruptions=corruptions, **arguments)
    data.trainer = trainer(training=True, current_epoch=0)
    return data


def test_training_corruptions_come_before_the_filters(folder):
    data = corrupting(folder)
    batch = next(iter(data.train_dataloader()))
    raw = read_set(folder, "train").images[batch.indices.numpy()]
    images = data.on_after_batch_transfer(batch, 0).images[:, 0].numpy()
    assert np.array_equal(images, GAUSSIAN(255 - raw))
    assert not np.array_equal(images, 255 - GAUSSIAN(255 - raw))


def test_mean_and_std_are_those_of_clean_filtered_images(folder):
    plain, data = small(folder, filters=GAUSSIAN), corrupting(folder)
    assert (data.mean, data.std) == (plain.mean, plain.std)


def test_validation_and_test_images_are_not_corrupted(folder):
    plain, data = small(folder, filters=GAUSSIAN), corrupting(folder)
    for name in ("val", "test"):
        assert np.array_equal(part(data, name)[0], part(plain, name)[0])
    data.trainer.training = False
    batch = next(iter(data.val_dataloader()[0]))
    assert data.on_after_batch_transfer(batch, 0) is batch


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_seed_decides_which_of_several_p_holds(folder, seed):
    turn, alone = (corrupting(folder, p=p, seed=seed) for p in ((1.0, 0.0), (1.0, 0.0)[seed % 2]))
    for one, other in zip(turn.train_dataloader(), alone.train_dataloader(), strict=True):
        images = turn.on_after_batch_transfer(one, 0).images
        assert torch.equal(images, alone.on_after_batch_transfer(other, 0).images)
        raw = read_set(folder, "train").images[one.indices.numpy()]
        assert np.array_equal(images[:, 0].numpy(), GAUSSIAN(raw if seed % 2 else 255 - raw))


def test_geometry_comes_before_corruption(folder):
    turn = Augmentation(degrees=20, translate=2)
    data = corrupting(folder, FilterChain(), augment=turn)
    batch = next(iter(data.train_dataloader()))
    turned = random_warp(batch.images, turn, seed=data.seed, epoch=0, indices=batch.indices)
    torch.testing.assert_close(data.on_after_batch_transfer(batch, 0).images, 255 - turned, rtol=0, atol=1e-3)


def test_a_random_filter_cannot_follow_training_corruptions():
    with pytest.raises(ValueError, match=r"data\.filters: random_gaussian.* cannot follow data\.training_corruptions"):
        DigitsDataModule(filters=FilterChain([RandomGaussian()]), training_corruptions=TrainingCorruptions())
