"""What happens to images between a file and the batches: the split, the filters, and the statistics of the pixels."""

import math

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from mnist_lit.data.filters import FilterChain
from mnist_lit.data.idx import Images

_CHUNK = 5_000  # images filtered between two updates of the progress bar


def stratified_split(
    labels: npt.NDArray[np.uint8], val_size: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split indices into training and validation so that both have the classes in the same proportion.

    Args:
        labels: `(N,)`.
        val_size: how many go to validation, 0 to N − 1.
        seed: seed of the split, and of nothing else.

    Returns:
        Two sorted int64 arrays, disjoint, N in all. Class sizes are rounded by largest remainder.

    Raises:
        ValueError: `val_size` leaves nothing to train on.
    """
    if val_size >= len(labels):
        raise ValueError(f"data.val_size: {val_size} leaves nothing to train on; 0 to {len(labels) - 1} is allowed")
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    quotas = counts * (val_size / max(1, len(labels)))
    sizes = np.floor(quotas).astype(int)
    sizes[np.argsort(sizes - quotas, kind="stable")[: val_size - sizes.sum()]] += 1
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:size] for label, size in zip(classes, sizes, strict=True)
    ]
    validation = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)
    training = np.setdiff1d(np.arange(len(labels)), validation, assume_unique=True)
    return training.astype(np.int64), validation.astype(np.int64)


def pixel_mean_std(images: Images) -> tuple[float, float]:
    """Return mean and standard deviation of all pixels of uint8 `(N, H, W)`, in [0, 1], exactly."""
    counts = np.zeros(256)
    for start in range(0, len(images), _CHUNK):  # float32 counts are exact up to 16 million pixels
        rows = images[start : start + _CHUNK].reshape(-1, images.shape[-1])
        counts += cv2.calcHist([rows], [0], None, [256], [0.0, 256.0]).reshape(-1)
    values = np.arange(256) / 255.0
    mean = float((counts * values).sum() / counts.sum())
    return mean, float(math.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))


def apply_chain(chain: FilterChain, images: Images, *, label: str) -> Images:
    """Run a filter chain over images `(N, H, W)`, with a progress bar on stderr if it takes more than a second."""
    if len(chain) == 0:
        return images
    filtered = np.empty_like(images)
    with tqdm(total=len(images), desc=f"filter {label}", unit=" images", delay=1.0, leave=False, disable=None) as bar:
        for start in range(0, len(images), _CHUNK):
            filtered[start : start + _CHUNK] = chain(images[start : start + _CHUNK], first_index=start)
            bar.update(min(_CHUNK, len(images) - start))
    return filtered


def filter_batch(chain: FilterChain, images: Tensor) -> Tensor:
    """Run a filter chain over a batch `(B, 1, H, W)`, float, 0 to 255, rounded to uint8 first as image files are.

    OpenCV works on the CPU: a batch that lives elsewhere goes there and back.
    """
    if len(chain) == 0:
        return images
    pixels = images[:, 0].round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return torch.from_numpy(chain(pixels))[:, None].to(images.device)
