"""The data module: the split, the filters on their way to the network, and the test images."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from datamodule_checks import GAUSSIAN, VAL, first_batch, part, refusal, small
from small_data import TEST, TRAIN, write_small_set

from mnist_lit.data import preparation
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain, Gaussian, Median, RandomGaussian
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.preparation import apply_chain, pixel_mean_std, stratified_split
from mnist_lit.errors import Failure


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
