"""IDX files: the official ones read exactly, and whatever is wrong with a file is refused in one line that says it."""

import gzip
import hashlib
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mnist_lit.data.idx import BUNDLED, KNOWN_SHA256, MAX_ITEMS, find_file, read_idx, read_set, write_set
from mnist_lit.errors import Failure, UsageError

OFFICIAL = {  # MD5 of the file and of what is packed in it
    "train-images-idx3-ubyte": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
}
FASHION = Path("/usr/share/datasets/fashion-mnist")
IMAGES = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


def packed(array, *, magic=None, shape=None):
    """Return the bytes of an IDX file, with a header that may lie."""
    numbers = [0x0800 + array.ndim if magic is None else magic, *(array.shape if shape is None else shape)]
    return b"".join(number.to_bytes(4, "big") for number in numbers) + array.tobytes()


def refusal(call, *parts, error=Failure):
    """Return the message with which `call` fails, after checking that it is one line and holds every part."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text, text
    return text


@pytest.fixture
def folder(tmp_path):
    """A sound set of five digits in each part, images gzipped and labels plain."""
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(packed(IMAGES)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(packed(LABELS))
    return tmp_path


# The bundled files


@pytest.mark.parametrize("stem", OFFICIAL)
def test_the_bundled_file_is_the_official_one(stem):
    data = (BUNDLED / f"{stem}.gz").read_bytes()
    unpacked = gzip.decompress(data)
    digests = tuple(hashlib.md5(part, usedforsecurity=False).hexdigest() for part in (data, unpacked))
    assert digests == OFFICIAL[stem]
    assert hashlib.sha256(unpacked).hexdigest() == KNOWN_SHA256["mnist"][stem]


@pytest.mark.parametrize(("part", "count"), [("train", 60_000), ("t10k", 10_000)])
def test_the_bundled_set_reads_whole(part, count):
    digits = read_set(BUNDLED, part, known_as="mnist")
    assert digits.images.shape == (count, 28, 28)
    assert digits.labels.shape == (count,)
    assert digits.images.dtype == digits.labels.dtype == np.uint8
    assert set(np.unique(digits.labels)) == set(range(10))


def test_the_bundled_images_are_those_of_the_bytes_in_the_file():
    data = gzip.decompress((BUNDLED / "t10k-images-idx3-ubyte.gz").read_bytes())
    images = read_set(BUNDLED, "t10k").images
    assert images[123, 4:24, 10].tolist() == [data[16 + 123 * 784 + row * 28 + 10] for row in range(4, 24)]
    assert images[123].any()


def test_the_first_labels_are_the_well_known_ones():
    assert read_set(BUNDLED, "train").labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert read_set(BUNDLED, "t10k").labels[:5].tolist() == [7, 2, 1, 0, 4]


# Any folder


def test_plain_and_gzipped_files_read_the_same(tmp_path):
    (tmp_path / "plain").write_bytes(packed(IMAGES))
    (tmp_path / "zipped").write_bytes(gzip.compress(packed(IMAGES)))
    plain, zipped = (read_idx(tmp_path / name, 3) for name in ("plain", "zipped"))
    np.testing.assert_array_equal(plain.array, IMAGES)
    np.testing.assert_array_equal(zipped.array, IMAGES)
    assert plain.sha256 == zipped.sha256 == hashlib.sha256(packed(IMAGES)).hexdigest()


def test_gzip_is_told_by_content_and_not_by_name(tmp_path):
    (tmp_path / "labels.gz").write_bytes(packed(LABELS))
    np.testing.assert_array_equal(read_idx(tmp_path / "labels.gz", 1).array, LABELS)


def test_the_plain_file_is_taken_where_both_are_there(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(packed(255 - IMAGES))
    assert find_file(folder, "train-images-idx3-ubyte").suffix == ""
    np.testing.assert_array_equal(read_set(folder, "train").images, 255 - IMAGES)


def test_the_digest_of_a_set_covers_both_files(folder):
    before = read_set(folder, "train").sha256
    assert read_set(folder, "t10k").sha256 == before
    (folder / "train-labels-idx1-ubyte").write_bytes(packed(LABELS[::-1]))
    assert read_set(folder, "train").sha256 != before
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(packed(IMAGES[::-1]))
    assert read_set(folder, "t10k").sha256 != before


@pytest.mark.skipif(not FASHION.is_dir(), reason=f"Debian's package dataset-fashion-mnist is not in {FASHION}")
@pytest.mark.parametrize(("part", "count"), [("train", 60_000), ("t10k", 10_000)])
def test_fashion_mnist_of_debian_is_a_second_source(part, count):
    fashion = read_set(FASHION, part, known_as="fashion_mnist")
    assert fashion.images.shape == (count, 28, 28)
    assert np.bincount(fashion.labels).tolist() == [count // 10] * 10
    refusal(lambda: read_set(FASHION, part, known_as="mnist"), FASHION / f"{part}-images", "SHA-256")


def test_a_read_only_folder_is_enough(folder):
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        assert len(read_set(folder, "train").labels) == 5
    finally:
        folder.chmod(0o755)


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


# Files that do not belong together


def test_a_missing_file_names_folder_and_file(folder):
    (folder / "train-labels-idx1-ubyte").unlink()
    refusal(lambda: read_set(folder, "train"), folder, "train-labels-idx1-ubyte", "missing", error=UsageError)
    assert len(read_set(folder, "t10k").labels) == 5


def test_a_missing_folder_is_wrong_use(tmp_path):
    refusal(lambda: read_set(tmp_path / "no", "train"), tmp_path / "no", "train-images", error=UsageError)


def test_a_label_of_255_is_refused(folder):
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(packed(np.array([3, 1, 255, 1, 5], dtype=np.uint8)))
    refusal(lambda: read_set(folder, "train"), f"{path}: ", "below 10 expected", "255 found")


def test_the_largest_label_is_number_of_classes_minus_one(folder):
    assert len(read_set(folder, "train", num_classes=6).labels) == 5
    refusal(lambda: read_set(folder, "train", num_classes=5), "below 5 expected", "5 found")


def test_different_counts_are_refused(folder):
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(packed(LABELS[:4]))
    refusal(
        lambda: read_set(folder, "train"), f"{path}: ", "5 labels expected", "4 found", "train-images-idx3-ubyte.gz"
    )


def test_images_and_labels_that_changed_places_are_refused(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(packed(IMAGES))
    refusal(lambda: read_set(folder, "train"), "0x00000801 expected", "0x00000803 found")


def test_one_changed_pixel_is_not_the_known_set(tmp_path):
    data = bytearray(gzip.decompress((BUNDLED / "t10k-images-idx3-ubyte.gz").read_bytes()))
    labels = (BUNDLED / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(data)
    assert len(read_set(tmp_path, "t10k", known_as="mnist").labels) == 10_000
    data[16 + 5_000 * 784 + 400] ^= 1
    path.write_bytes(data)
    wanted = KNOWN_SHA256["mnist"]["t10k-images-idx3-ubyte"]
    found = hashlib.sha256(data).hexdigest()
    refusal(lambda: read_set(tmp_path, "t10k", known_as="mnist"), f"{path}: ", f"{wanted} expected", f"{found} found")
    assert len(read_set(tmp_path, "t10k").labels) == 10_000  # as a set without a name it is sound


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


# Writing


def test_a_written_set_is_read_as_it_was(tmp_path):
    write_set(tmp_path / "new", "t10k", IMAGES, LABELS)
    found = read_set(tmp_path / "new", "t10k")
    assert np.array_equal(found.images, IMAGES)
    assert np.array_equal(found.labels, LABELS)
    assert (tmp_path / "new" / "t10k-labels-idx1-ubyte").read_bytes() == packed(LABELS)


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
