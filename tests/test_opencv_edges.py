"""Edges by OpenCV against what their definitions say."""

import numpy as np
import pytest
from opencv_checks import STACKS, correlate, largest_difference, saturate, size_kernel

from mnist_lit.data import opencv_edges

# Edges

LAPLACIANS = {
    1: [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    3: [[2, 0, 2], [0, -8, 0], [2, 0, 2]],
    5: np.add(np.outer([1, 0, -2, 0, 1], [1, 4, 6, 4, 1]), np.outer([1, 4, 6, 4, 1], [1, 0, -2, 0, 1])),
}
SOBELS = {3: ([-1, 0, 1], [1, 2, 1]), 5: ([-1, -2, 0, 2, 1], [1, 4, 6, 4, 1])}


@STACKS
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_laplacian_is_the_absolute_correlation(images, size, scale):
    expected = saturate(scale * np.abs(correlate(images, LAPLACIANS[size])) / {1: 1, 3: 4, 5: 16}[size])
    assert largest_difference(opencv_edges.laplacian(images, size, scale), expected) == 0


@STACKS
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_sobel_is_the_length_of_the_gradient(images, size, scale):
    slope, smooth = SOBELS[size]
    across, down = correlate(images, np.outer(smooth, slope)), correlate(images, np.outer(slope, smooth))
    expected = np.clip(scale * np.hypot(across, down) / {3: 4, 5: 48}[size], 0, 255)
    assert largest_difference(opencv_edges.sobel(images, size, scale), expected) <= 0.501


@STACKS
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_scharr_is_the_length_of_the_gradient(images, scale):
    slope, smooth = [-1, 0, 1], [3, 10, 3]
    across, down = correlate(images, np.outer(smooth, slope)), correlate(images, np.outer(slope, smooth))
    expected = np.clip(scale * np.hypot(across, down) / 16, 0, 255)
    assert largest_difference(opencv_edges.scharr(images, scale), expected) <= 0.501


@pytest.mark.parametrize(
    "edges",
    [
        *(lambda images, k=k: opencv_edges.sobel(images, k, 1.0) for k in (3, 5, 7)),
        *(lambda images, k=k: opencv_edges.laplacian(images, k, 1.0) for k in (1, 3, 5)),
        lambda images: opencv_edges.scharr(images, 1.0),
    ],
    ids=["sobel3", "sobel5", "sobel7", "laplacian1", "laplacian3", "laplacian5", "scharr"],
)
def test_an_upright_edge_gives_255_whatever_the_kernel(edges):
    step = np.zeros((1, 16, 16), np.uint8)
    step[:, :, 8:] = 1
    grey = edges(step * 100)
    assert grey.max() == 100
    assert edges(step * 255).max() == 255
    assert not grey[:, :, :4].any()
    assert not grey[:, :, 12:].any()


@STACKS
@pytest.mark.parametrize("size", [3, 9, (5, 3)], ids=str)
def test_local_contrast_is_the_stretched_difference_to_the_mean(images, size):
    kernel = size_kernel(size)
    difference = np.rint(images * kernel.sum() - correlate(images, kernel))
    peak = np.abs(difference).max(axis=(1, 2), keepdims=True)
    expected = 127.5 + 127.5 * np.divide(difference, peak, out=np.zeros_like(difference), where=peak > 0)
    assert largest_difference(opencv_edges.local_contrast(images, size), expected) <= 0.501
