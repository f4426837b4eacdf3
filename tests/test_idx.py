"""IDX files: the official ones read exactly, sets that do not belong together refused, and written sets read back."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from idx_files import IMAGES, LABELS, packed, refusal, write_folder

from mnist_lit.data.idx import BUNDLED, KNOWN_SHA256, find_file, read_idx, read_set, write_set
from mnist_lit.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


OFFICIAL = {  # MD5 of the file and of what is packed in it
    "train-images-idx3-ubyte": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
}
FASHION = Path("/usr/share/datasets/fashion-mnist")


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


# Writing


def test_a_written_set_is_read_as_it_was(tmp_path):
    write_set(tmp_path / "new", "t10k", IMAGES, LABELS)
    found = read_set(tmp_path / "new", "t10k")
    assert np.array_equal(found.images, IMAGES)
    assert np.array_equal(found.labels, LABELS)
    assert (tmp_path / "new" / "t10k-labels-idx1-ubyte").read_bytes() == packed(LABELS)
