"""The data module: the split, the filters on their way to the network, what is scored, and the files of `predict`."""

import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from small_data import TEST, TRAIN, write_small_set

from mnist_lit.data import datamodule, preparation
from mnist_lit.data.augment import Augmentation, random_warp
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain, Gaussian, Invert, Median, RandomGaussian
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.preparation import apply_chain, pixel_mean_std, stratified_split
from mnist_lit.data.training_corruptions import TrainingCorruptions
from mnist_lit.errors import Failure, UsageError

VAL = 100
GAUSSIAN = FilterChain([Gaussian(kernel_size=5, sigma=1.0)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The first digits of MNIST as a set of its own."""
    return write_small_set(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def mnist():
    return read_set(BUNDLED, "train")


@pytest.fixture(scope="module")
def whole():
    """The whole of MNIST, filtered, as `fit` has it."""
    data = DigitsDataModule(filters=GAUSSIAN, test_curves=False)
    data.setup("fit")
    return data


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


# The split


def test_mnist_is_split_into_55_000_and_5_000(whole):
    assert (whole.size("train"), whole.size("val")) == (55_000, 5_000)


def test_training_and_validation_are_disjoint_and_all(whole):
    both = np.concatenate([part(whole, name)[2] for name in ("train", "val")])
    assert np.array_equal(np.sort(both), np.arange(60_000))


def test_the_targets_are_those_of_the_indices(whole, mnist):
    for name in ("train", "val"):
        _, targets, indices = part(whole, name)
        assert np.array_equal(targets, mnist.labels[indices])


def test_every_class_has_its_share_of_the_validation_images(whole, mnist):
    share = np.bincount(mnist.labels) / 12
    found = np.bincount(part(whole, "val")[1], minlength=10)
    assert np.abs(found - share).max() < 1
    assert np.abs(np.bincount(mnist.labels[-5_000:], minlength=10) - share).max() > 1  # the last 5,000 would not do


@pytest.mark.parametrize("val_size", [0, 1, 9, 10, 11, 333, 639])
def test_shares_are_within_one_at_any_size(folder, val_size):
    labels = read_set(folder, "train").labels
    train, val = stratified_split(labels, val_size, seed=0)
    assert len(val) == val_size
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(TRAIN))
    share = np.bincount(labels) * val_size / TRAIN
    assert np.abs(np.bincount(labels[val], minlength=10) - share).max() < 1


def test_the_split_is_a_function_of_its_own_seed(folder):
    first = part(small(folder, seed=1), "val")[2]
    assert np.array_equal(part(small(folder, seed=2), "val")[2], first)
    assert not np.array_equal(part(small(folder, split_seed=1), "val")[2], first)


def test_the_split_of_mnist_is_frozen(whole):
    assert part(whole, "val")[2][:8].tolist() == [6, 7, 20, 36, 39, 53, 68, 113]


def test_without_validation_images_everything_is_for_training(folder):
    data = small(folder, val_size=0)
    assert (data.size("train"), data.size("val")) == (TRAIN, 0)
    assert data.val_parts == []


@pytest.mark.parametrize("val_size", [TRAIN, TRAIN + 1, 10**9])
def test_a_validation_part_that_leaves_nothing_is_refused(folder, val_size):
    refusal(lambda: small(folder, val_size=val_size), f"data.val_size: {val_size} ", f"0 to {TRAIN - 1}")


# Mean and standard deviation


def test_mean_and_std_are_those_of_the_filtered_training_images(whole, mnist):
    images = GAUSSIAN(mnist.images)[part(whole, "train")[2]].reshape(-1)
    mean, std = images.mean(dtype=np.float64) / 255, images.std(dtype=np.float64) / 255
    assert whole.mean == pytest.approx(mean, rel=1e-12)
    assert whole.std == pytest.approx(std, rel=1e-12)


def test_mean_and_std_without_filter_differ(whole, mnist):
    mean, std = pixel_mean_std(mnist.images[part(whole, "train")[2]])
    assert abs(std - whole.std) > 0.01
    assert (mean, std) == pytest.approx((0.1307, 0.3081), abs=2e-4)  # the well-known numbers of MNIST


def test_the_validation_images_have_no_part_in_the_mean(folder):
    data = small(folder)
    everything = pixel_mean_std(read_set(folder, "train").images)
    assert (data.mean, data.std) == pixel_mean_std(part(data, "train")[0])
    assert (data.mean, data.std) != everything


def test_a_chain_that_leaves_nothing_to_see_is_refused(folder):
    chain = FilterChain.parse("erode(kernel_size=27)")
    refusal(lambda: small(folder, filters=chain), "data.filters", chain, "every pixel equal")


# The filters reach the network


def first_batch(data):
    return next(iter(data.train_dataloader()))


def test_the_first_batch_is_what_opencv_makes_of_the_raw_images(whole, mnist):
    batch = first_batch(whole)
    assert batch.images.shape == (64, 1, 28, 28)
    assert batch.images.dtype == torch.uint8
    for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
        wanted = cv2.GaussianBlur(mnist.images[index], (5, 5), sigmaX=1)
        assert image.numpy().tobytes() == wanted.tobytes()


def test_without_filter_the_first_batch_is_raw(folder):
    raw = read_set(folder, "train").images
    batch = first_batch(small(folder))
    for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
        assert image.numpy().tobytes() == raw[index].tobytes()
        assert image.numpy().tobytes() != cv2.GaussianBlur(raw[index], (5, 5), sigmaX=1).tobytes()


def test_the_order_of_the_first_batch_is_that_of_the_seed(folder):
    def indices(seed):
        return first_batch(small(folder, seed=seed)).indices

    assert torch.equal(indices(1), indices(1))
    assert not torch.equal(indices(1), indices(2))


@pytest.mark.parametrize(("name", "file"), [("val", "train"), ("test", "t10k")])
def test_images_to_be_scored_are_filtered_too(folder, name, file):
    raw = read_set(folder, file).images
    images, _, indices = part(small(folder, filters=GAUSSIAN), name)
    for image, index in zip(images, indices, strict=True):
        assert image.tobytes() == cv2.GaussianBlur(raw[index], (5, 5), sigmaX=1).tobytes()


def test_random_filters_are_for_training_images_only(folder):
    chain = FilterChain([RandomGaussian(), Median(kernel_size=3)])
    data = small(folder, filters=chain)
    raw = read_set(folder, "train").images
    images, _, indices = part(data, "train")
    assert np.array_equal(images, chain(raw[indices]))
    assert not np.array_equal(images, Median(kernel_size=3)(raw[indices]))
    images, _, indices = part(data, "val")
    assert np.array_equal(images, Median(kernel_size=3)(raw[indices]))
    assert np.array_equal(part(data, "test")[0], Median(kernel_size=3)(read_set(folder, "t10k").images))


def test_every_image_is_filtered_once_whatever_the_number_of_epochs(folder, monkeypatch):
    filtered = []
    plain = Gaussian._apply
    monkeypatch.setattr(Gaussian, "_apply", lambda self, i, first: filtered.append(len(i)) or plain(self, i, first))
    data = small(folder, filters=GAUSSIAN)
    for epoch in range(2):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        assert sum(len(batch.targets) for batch in loader) == TRAIN - VAL
        for stage in ("fit", "validate", "test"):
            data.setup(stage)
    assert sum(filtered) == TRAIN + TEST


def test_filtering_in_pieces_gives_what_filtering_at_once_gives(folder, monkeypatch):
    images = read_set(folder, "train").images
    chain = FilterChain([RandomGaussian()])
    monkeypatch.setattr(preparation, "_CHUNK", 77)
    assert np.array_equal(apply_chain(chain, images, label="some"), chain(images))


def test_raw_images_are_not_changed_by_what_happens_to_batches(folder):
    data = small(folder)
    before = part(data, "train")[0].copy()
    first_batch(data).images.fill_(7)
    assert np.array_equal(part(data, "train")[0], before)


# The test images


@pytest.fixture
def without_test_files(folder, tmp_path):
    for path in folder.glob("train*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_training_needs_no_test_files_without_test_curves(without_test_files):
    data = small(without_test_files, test_curves=False)
    assert data.size("train") == TRAIN - VAL
    assert not data.has_test_images()


def test_test_curves_need_the_test_files(without_test_files):
    refusal(lambda: small(without_test_files), without_test_files, "t10k-images-idx3-ubyte")


def test_the_test_command_needs_the_test_files(without_test_files):
    refusal(lambda: small(without_test_files, "test", test_curves=False), "t10k-images-idx3-ubyte")


def test_a_damaged_test_file_is_named(without_test_files):
    for name in ("images-idx3", "labels-idx1"):
        (without_test_files / f"t10k-{name}-ubyte").write_bytes(b"\0\0\x08")
    refusal(lambda: small(without_test_files, "test"), "t10k-images-idx3-ubyte", "truncated", error=Failure)


def test_where_test_images_can_be_had(folder, without_test_files):
    assert DigitsDataModule().has_test_images()
    assert DigitsDataModule(dataset="idx", root=folder).has_test_images()
    assert DigitsDataModule(dataset="kmnist").has_test_images()
    assert not DigitsDataModule(dataset="kmnist", root=without_test_files).has_test_images()
    assert DigitsDataModule(dataset="kmnist", root=without_test_files / "to be filled").has_test_images()


def test_permuted_test_labels_leave_the_training_untouched(folder, tmp_path):
    first, second = small(folder), small(write_small_set(tmp_path, permute_test_labels=True))
    for name in ("train", "val"):
        for a, b in zip(part(first, name), part(second, name), strict=True):
            assert np.array_equal(a, b)
    assert (first.mean, first.std, first.sha256["train"]) == (second.mean, second.std, second.sha256["train"])
    assert not np.array_equal(part(first, "test")[1], part(second, "test")[1])
    assert first.sha256["test"] != second.sha256["test"]


@pytest.mark.parametrize(("stage", "parts"), [("validate", {"train"}), ("test", {"test"}), ("fit", {"train", "test"})])
def test_a_stage_reads_what_it_needs(folder, stage, parts):
    assert set(small(folder, stage).sha256) == parts


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
