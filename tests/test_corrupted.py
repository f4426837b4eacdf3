"""Kept corrupted sets (found only where they are right, damaged ones made again) and the published MNIST-C folder."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from mnist_lit.data import corrupted
from mnist_lit.data.corrupted import cache_file, default_cache_dir, load_corrupted, read_mnist_c
from mnist_lit.data.corruptions import corrupt
from mnist_lit.errors import Failure, UsageError


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)


@pytest.fixture
def counted(monkeypatch):
    """How often images were really corrupted."""
    calls = []

    def count(images, name, *, seed):
        calls.append((name, seed))
        return corrupt(images, name, seed=seed)

    monkeypatch.setattr(corrupted, "corrupt", count)
    return calls


# Kept sets


def test_the_second_time_the_set_comes_from_disk(images, counted, tmp_path):
    folder = tmp_path / "new" / "folder"
    first = load_corrupted(images, "shot_noise", seed=3, cache_dir=folder)
    second = load_corrupted(images, "shot_noise", seed=3, cache_dir=folder)
    np.testing.assert_array_equal(first, corrupt(images, "shot_noise", seed=3))
    np.testing.assert_array_equal(second, first)
    assert second.dtype == np.uint8
    assert counted == [("shot_noise", 3)]
    assert [path.suffix for path in folder.iterdir()] == [".npy"]  # no temporary file is left


def test_a_kept_file_is_a_plain_npy(images, tmp_path):
    made = load_corrupted(images, "stripe", seed=0, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), made)


def test_name_seed_images_and_definition_each_have_their_own_file(images, monkeypatch):
    here = Path("cache")
    other = images.copy()
    other[0, 0, 0] ^= 1
    files = {
        cache_file(images, "fog", 0, here),
        cache_file(images, "fog", 1, here),
        cache_file(images, "spatter", 0, here),
        cache_file(other, "fog", 0, here),
        cache_file(images[:5], "fog", 0, here),
    }
    assert len(files) == 5
    assert cache_file(images.copy(), "fog", 0, here) in files
    monkeypatch.setattr(corrupted, "definition_digest", lambda: "another definition")
    assert cache_file(images, "fog", 0, here) not in files


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:500],
        lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    ],
    ids=["empty", "cut by one", "cut short", "one bit in the data", "one bit in the digest"],
)
def test_a_damaged_file_is_made_again_with_a_note(images, counted, tmp_path, caplog, damage):
    made = load_corrupted(images, "zigzag", seed=0, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(load_corrupted(images, "zigzag", seed=0, cache_dir=tmp_path), made)
    assert len(counted) == 2
    assert f"{path}: cannot be used" in caplog.text
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "array",
    [np.zeros((12, 28, 28)), np.zeros((11, 28, 28), np.uint8), np.array([{"an": "object"}], dtype=object)],
    ids=["float", "too few", "pickle"],
)
def test_a_whole_file_of_another_kind_is_not_used(images, tmp_path, caplog, array):
    path = cache_file(images, "scale", 0, tmp_path)
    kept = path.with_name("written.npy")
    np.save(kept, array)
    body = kept.read_bytes()
    path.write_bytes(body + corrupted.hashlib.sha256(body).digest())
    with caplog.at_level(logging.WARNING):
        made = load_corrupted(images, "scale", seed=0, cache_dir=tmp_path)
    np.testing.assert_array_equal(made, corrupt(images, "scale", seed=0))
    assert "cannot be used" in caplog.text


def test_a_folder_that_cannot_be_written_costs_only_the_time(images, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with caplog.at_level(logging.WARNING):
        made = load_corrupted(images, "rotate", seed=0, cache_dir=blocked / "cache")
    np.testing.assert_array_equal(made, corrupt(images, "rotate", seed=0))
    assert "cannot be written" in caplog.text


def test_a_write_that_fails_half_way_leaves_nothing(images, tmp_path, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        load_corrupted(images, "rotate", seed=0, cache_dir=tmp_path)
    assert "No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_wrong_names_and_images_are_refused_before_anything_is_written(images, tmp_path):
    with pytest.raises(ValueError, match="did you mean rotate"):
        load_corrupted(images, "rotat", seed=0, cache_dir=tmp_path)
    with pytest.raises(ValueError, match="uint8"):
        load_corrupted(images.view(np.int8), "rotate", seed=0, cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_is_the_users_cache(images, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_corrupted(images, "stripe", seed=0)
    assert len(list((tmp_path / "mnist_lit").iterdir())) == 1


@pytest.mark.parametrize(
    ("system", "parts"),
    [
        ("Linux", (".cache", "mnist_lit")),
        ("Darwin", ("Library", "Caches", "mnist_lit")),
        ("Windows", ("AppData", "Local", "mnist_lit")),
    ],
)
@pytest.mark.parametrize("xdg", [None, "", "relative/folder"])
def test_the_default_folder_of_each_platform(monkeypatch, system, parts, xdg):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    if xdg is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setattr(corrupted.platform, "system", lambda: system)
    assert default_cache_dir() == Path.home().joinpath(*parts)


def test_windows_names_its_own_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(corrupted.platform, "system", lambda: "Windows")
    assert default_cache_dir() == tmp_path / "mnist_lit"


# The published folder


@pytest.fixture(scope="module")
def published():
    """A test set in the published form, in memory."""
    images = np.arange(10_000 * 784, dtype=np.uint32).reshape(10_000, 28, 28, 1) * 7919 >> 8
    return (images % 256).astype(np.uint8), np.arange(10_000, dtype=np.int64) % 10


@pytest.fixture
def folder(tmp_path, published):
    """A folder whose files a test may replace."""
    (tmp_path / "fog").mkdir()
    np.save(tmp_path / "fog" / "test_images.npy", published[0])
    np.save(tmp_path / "fog" / "test_labels.npy", published[1])
    return tmp_path


def test_the_published_form_is_read(folder, published):
    images, labels = read_mnist_c(folder, "fog")
    assert images.shape == (10_000, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, published[0][..., 0])
    np.testing.assert_array_equal(labels, published[1])


def test_missing_files_are_named(folder):
    with pytest.raises(UsageError, match=r"spatter.test_images\.npy: missing \(give the unpacked folder of MNIST-C"):
        read_mnist_c(folder, "spatter")
    (folder / "fog" / "test_labels.npy").unlink()
    with pytest.raises(UsageError, match=r"fog.test_labels\.npy: missing"):
        read_mnist_c(folder, "fog")


def test_a_path_is_not_a_name(folder):
    with pytest.raises(ValueError, match=r"'\.\./fog' is not known"):
        read_mnist_c(folder, "../fog")


IMAGE_SHAPE = (10_000, 28, 28, 1)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.full(IMAGE_SHAPE, np.nan, np.float32), "float32"),
        (np.zeros(IMAGE_SHAPE, np.uint16), "uint16"),
        (np.zeros(IMAGE_SHAPE, np.int8), "int8"),
        (np.zeros((10_000, 28, 28), np.uint8), r"\(10000, 28, 28\) found"),
        (np.zeros((9_999, 28, 28, 1), np.uint8), r"\(9999, 28, 28, 1\) found"),
        (np.asfortranarray(np.zeros(IMAGE_SHAPE, np.uint8)), "expected"),
        (np.array([{"an": "object"}], dtype=object), "object"),
        (np.array(["text"]), "<U4"),
    ],
    ids=["NaN", "uint16", "int8", "no channel", "too few", "Fortran order", "pickle", "text"],
)
def test_images_of_another_kind_are_refused(folder, array, found):
    np.save(folder / "fog" / "test_images.npy", array)
    message = rf"test_images\.npy: uint8 \(10000, 28, 28, 1\) expected, .*{found}.*\(unpack MNIST-C again\)"
    if found == "expected":
        message = r"test_images\.npy: uint8 \(10000, 28, 28, 1\) expected"
    with pytest.raises(Failure, match=message) as caught:
        read_mnist_c(folder, "fog")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(10_000, 10), "labels 0 to 9 expected, 10 to 10 found"),
        (np.full(10_000, -1), "labels 0 to 9 expected, -1 to -1 found"),
        (np.full(10_000, np.inf), r"whole numbers \(10000,\) expected, float64"),
        (np.zeros(9_999, np.int64), r"expected, int64 \(9999,\) found"),
        (np.zeros((10_000, 1), np.int64), r"expected, int64 \(10000, 1\) found"),
        (np.array([None] * 10_000, dtype=object), "expected, object"),
    ],
    ids=["above 9", "below 0", "inf", "too few", "two axes", "pickle"],
)
def test_labels_of_another_kind_are_refused(folder, labels, message):
    np.save(folder / "fog" / "test_labels.npy", labels)
    with pytest.raises(Failure, match=rf"test_labels\.npy: .*{message}"):
        read_mnist_c(folder, "fog")


def header(description):
    text = description.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 an archive",
        b"\x80\x04 a pickle",
        b"\x93NUMPY\x09\x00",
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (10000, 28, 28, 1), }"),
        header("{'descr': '|V0', 'fortran_order': False, 'shape': (10000, 28, 28, 1), }"),
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }"),
        header("{'descr': .|u1', 'fortran_order"),
    ],
    ids=["empty", "zip", "pickle", "version", "no data", "no size", "huge", "broken header"],
)
def test_damaged_files_are_a_failure_of_one_line(folder, data):
    (folder / "fog" / "test_images.npy").write_bytes(data)
    with pytest.raises(Failure, match=r"test_images\.npy: .*\(unpack MNIST-C again\)") as caught:
        read_mnist_c(folder, "fog")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [b"x", None], ids=["longer", "shorter"])
def test_a_file_of_another_length_is_refused(folder, change):
    path = folder / "fog" / "test_labels.npy"
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:-1])
    with pytest.raises(Failure, match=r"test_labels\.npy: 80,000 bytes of data expected, (more|79,999) found"):
        read_mnist_c(folder, "fog")
