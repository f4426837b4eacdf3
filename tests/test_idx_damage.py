"""Damaged IDX files, headers that promise too much and random damage: refused in one line that says what is wrong."""

import gzip
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from idx_files import IMAGES, LABELS, packed, refusal, write_folder

from mnist_lit.data.idx import MAX_ITEMS, find_file, read_idx, read_set
from mnist_lit.errors import Failure


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


# Damaged files

BAD_IMAGES = {
    "empty file": (b"", ["truncated", "16 bytes", "found 0"]),
    "truncated header": (packed(IMAGES)[:9], ["truncated", "16 bytes", "found 9"]),
    "truncated data": (packed(IMAGES)[:-1], ["3,936 bytes expected", "3,935 found"]),
    "trailing byte": (packed(IMAGES) + b"\0", ["3,936 bytes expected", "3,937 found"]),
    "magic of labels": (packed(IMAGES, magic=0x801), ["0x00000803 expected", "0x00000801 found"]),
    "magic of floats": (packed(IMAGES, magic=0xD03), ["0x00000803 expected", "0x00000d03 found"]),
    "little-endian magic": (packed(IMAGES, magic=0x03080000), ["0x00000803 expected", "0x03080000 found"]),
    "other dimensions": (packed(IMAGES, shape=(5, 32, 32)), ["Nx28x28", "5x32x32 found"]),
    "swapped dimensions": (packed(IMAGES, shape=(28, 28, 5)), ["Nx28x28", "28x28x5 found"]),
    "no images": (packed(IMAGES[:0]), ["N from 1 to", "0x28x28 found"]),
    "text": (b"<html><title>403 Forbidden</title>", ["0x00000803 expected", "0x3c68746d found"]),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_plain_file_of_images_is_refused(tmp_path, name):
    data, parts = BAD_IMAGES[name]
    path = tmp_path / "images"
    path.write_bytes(data)
    assert refusal(lambda: read_idx(path, 3), *parts).startswith(f"{path}: ")


@pytest.mark.parametrize("name", sorted(BAD_IMAGES.keys() - {"truncated data", "trailing byte"}))
def test_the_same_fault_inside_gzip_is_refused(tmp_path, name):
    data, parts = BAD_IMAGES[name]
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(data))
    assert refusal(lambda: read_idx(path, 3), *parts).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (packed(IMAGES)[:-1], ["truncated", "3,920 bytes of data expected", "3,919 found"]),
        (packed(IMAGES) + b"\0", ["3,920 bytes of data expected", "more found"]),
    ],
    ids=["truncated data", "trailing byte"],
)
def test_a_wrong_length_inside_gzip_is_refused(tmp_path, data, parts):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(data))
    refusal(lambda: read_idx(path, 3), f"{path}: ", *parts)


def damaged_checksum(data):
    return data[:-8] + bytes(byte ^ 0xFF for byte in data[-8:-4]) + data[-4:]


def damaged_middle(data):
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 40]) + data[middle + 40 :]


@pytest.mark.parametrize(
    "damage",
    [damaged_checksum, damaged_middle, lambda d: d[:-20], lambda d: d[:5], lambda d: d[:2], lambda d: d + b"tail"],
    ids=["checksum", "middle", "cut at the end", "cut in the header", "only two bytes", "something behind it"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(packed(IMAGES))))
    refusal(lambda: read_idx(path, 3), f"{path}: ", "damaged gzip file")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    refusal(lambda: read_idx(tmp_path, 3), f"{tmp_path}: cannot be read: ")


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # chmod would not stop the superuser
    path = tmp_path / "images"
    refusal(lambda: read_idx(path, 3), f"{path}: cannot be read: Permission denied")


def test_an_unsearchable_folder_is_named(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", denied)
    refusal(lambda: find_file(tmp_path, "train-images-idx3-ubyte"), f"{tmp_path}: ", "Permission denied")


# Headers that promise too much


@pytest.fixture
def peak_memory():
    """Call a function; return the peak of what it allocated, in bytes, and the seconds it took."""

    def measure(call):
        tracemalloc.start()
        start = time.perf_counter()
        try:
            call()
            return tracemalloc.get_traced_memory()[1], time.perf_counter() - start
        finally:
            tracemalloc.stop()

    return measure


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    ("array", "shape"),
    [(IMAGES, (2**32 - 1, 28, 28)), (IMAGES, (2**32 - 1,) * 3), (LABELS, (2**32 - 1,))],
    ids=["images", "huge images", "labels"],
)
def test_a_header_of_four_billion_items_is_refused_without_allocation(tmp_path, peak_memory, pack, array, shape):
    path = tmp_path / "file"
    path.write_bytes(pack(packed(array, shape=shape)))
    peak, seconds = peak_memory(lambda: refusal(lambda: read_idx(path, array.ndim), path, 2**32 - 1, f"{MAX_ITEMS:,}"))
    assert peak < 2**20
    assert seconds < 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_a_header_of_more_than_the_file_holds_is_refused_without_allocation(tmp_path, peak_memory, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(packed(IMAGES, shape=(MAX_ITEMS, 28, 28))))
    peak, seconds = peak_memory(lambda: refusal(lambda: read_idx(path, 3), path, "expected", "found"))
    assert peak < 10 * 2**20 < MAX_ITEMS * 784
    assert seconds < 1


def test_the_measurement_of_memory_sees_arrays(peak_memory):
    assert peak_memory(lambda: np.ones(11 * 2**20, dtype=np.uint8))[0] > 10 * 2**20


# Damage at random


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("stem", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_random_damage_is_refused_or_harmless(folder, stem, pack):
    (folder / "train-images-idx3-ubyte.gz").rename(folder / "train-images-idx3-ubyte")
    path = folder / stem
    sound = pack(packed(IMAGES if "images" in stem else LABELS))
    rng = np.random.default_rng(11)
    refusals = []
    for _ in range(150):
        data = bytearray(sound)
        for position in rng.integers(0, min(len(data), rng.choice([20, len(data)])), rng.integers(1, 4)):
            data[position] ^= 1 << rng.integers(8)
        if rng.random() < 0.3:
            del data[rng.integers(len(data)) :]
        path.write_bytes(data)
        try:
            digits = read_set(folder, "train")
        except Failure as error:
            refusals.append(str(error))
        else:
            assert digits.images.shape == (5, 28, 28)
            assert digits.labels.max() < 10
    assert len(refusals) > 50
    assert not any("\n" in text for text in refusals)
