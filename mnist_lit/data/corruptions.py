"""The 15 corruptions of MNIST-C, seeded: uint8 images in, uint8 images out. They are for testing, never for training.

Definitions: Mu & Gilmer 2019, "MNIST-C: a robustness benchmark for computer vision", arXiv 1906.02337. The published
files came from an unseeded generator, so what is made here is the same family of images, not the same files
(`mnist_lit.data.corrupted` reads the published ones).

A corruption is a pure function of images and of uniform numbers, `(images, u) -> images`, with u of `(N, draws)`;
`TABLE` says how many numbers each takes. The numbers of image i come from a counter-based generator (Philox) with a key
of seed and name and the counter i · draws: they depend on (seed, name, i) alone, not on how many images are corrupted.

Where the definitions leave freedom, what the published generator's libraries did in 2019 is done here: warps are
bilinear around (13.5, 13.5) with black outside; blurs are cut at four sigma and repeat the border pixel; results are
rounded to the nearest of 256 values, halves up.
"""

import difflib
import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mnist_lit.data import corruption_parts as parts
from mnist_lit.data.corruption_parts import SIZE, Floats

Images = npt.NDArray[np.uint8]

_PIXELS = SIZE * SIZE
_GLASS_SITES = [(h, w) for _ in range(2) for h in range(27, 1, -1) for w in range(27, 1, -1)]
_CHUNK_BYTES = 8_000_000  # of random numbers at once: small enough to stay near the processor


def _unit(images: Images) -> Floats:
    """Scale uint8 to [0, 1]."""
    return images.astype(np.float32) / np.float32(255.0)


def _to_uint8(x: Floats) -> Images:
    """Clip to [0, 1] and scale back to 0 … 255, rounded to the nearest value."""
    return (np.clip(x, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def _integers(u: Floats, low: int, high: int) -> npt.NDArray[np.int64]:
    """Turn uniform numbers in [0, 1) into integers `low` … `high` - 1."""
    return low + np.floor(u.astype(np.float64) * (high - low)).astype(np.int64)


def _by_sign(x: Floats, u: Floats, warp: Callable[[Floats, int], Floats]) -> Floats:
    """Warp the images whose number is below 0.5 with sign -1, the others with +1."""
    out = np.empty_like(x)
    for sign, mask in ((-1, u < 0.5), (1, u >= 0.5)):
        out[mask] = warp(x[mask], sign)
    return out


def shot_noise(images: Images, u: Floats) -> Images:
    """Count photons: Poisson(3x) / 3. Three photons or more are white: three comparisons with its CDF are enough."""
    rate = 3.0 * np.arange(256) / 255.0
    cdf = np.exp(-rate) * np.stack([np.ones(256), 1.0 + rate, 1.0 + rate + rate**2 / 2.0])
    photons = np.zeros(images.shape, np.uint8)
    for at_most in cdf:
        photons += u.reshape(images.shape) >= at_most[images]
    return photons * np.uint8(85)


def impulse_noise(images: Images, u: Floats) -> Images:
    """Salt and pepper: each pixel becomes white with probability 0.085 and black with probability 0.085."""
    u = u.reshape(images.shape)
    return np.where(u < 0.085, np.uint8(255), np.where(u < 0.17, np.uint8(0), images))


def shuffle_glass(images: Images, u: Floats) -> Images:
    """Swap pixels with a neighbour, one site after another: the middle step of `glass_blur`.

    Twice, for rows and columns from 27 down to 2, with probability 0.5, a pixel changes place with the one at an offset
    of -1 or 0 on each axis (both 0: nothing happens).

    Args:
        images: `(N, 28, 28)` uint8.
        u: `(N, 1352)`; below 0.5 nothing, the quarters above are the four offsets.
    """
    n = len(images)
    flat = np.ascontiguousarray(images.reshape(n, _PIXELS).T)
    offset = np.array([0, 1, SIZE, SIZE + 1])  # how far back in the flattened image
    choice = np.floor(u.T.astype(np.float64) * 8.0).astype(np.int64) - 4
    back = np.where(choice < 0, 0, offset[np.maximum(choice, 0)])
    every = np.arange(n)
    for (h, w), step in zip(_GLASS_SITES, back, strict=True):
        site = h * SIZE + w
        here, there = flat[site].copy(), flat[site - step, every]
        flat[site] = there
        flat[site - step, every] = here  # for step 0, `here` is `there`
    return np.ascontiguousarray(flat.T).reshape(images.shape)


def glass_blur(images: Images, u: Floats) -> Images:
    """Look through frosted glass: Gaussian 0.7 (kept as uint8, cut off), `shuffle_glass`, Gaussian 0.7."""
    blurred = (parts.gaussian_blur(_unit(images), 0.7) * np.float32(255.0)).astype(np.uint8)
    return _to_uint8(parts.gaussian_blur(_unit(shuffle_glass(blurred, u)), 0.7))


def motion_blur(images: Images, u: Floats) -> Images:
    """Move the camera along a line at an angle drawn from ±45°, fading; the border pixel repeats outside."""
    weights, down, right = parts.motion_kernel(90.0 * u[:, 0].astype(np.float64) - 45.0)
    x = _unit(images).reshape(len(images), _PIXELS)
    out = np.zeros(images.shape, np.float32)
    pixels = np.arange(SIZE)
    for i, weight in enumerate(weights):
        rows = np.clip(pixels + down[:, i, None], 0, SIZE - 1)
        columns = np.clip(pixels + right[:, i, None], 0, SIZE - 1)
        taps = (rows * SIZE)[:, :, None] + columns[:, None, :]
        out += weight * np.take_along_axis(x, taps.reshape(x.shape), axis=1).reshape(images.shape)
    return _to_uint8(out)


def shear(images: Images, u: Floats) -> Images:
    """Slant by ±0.4 rad about the centre: reads column x - y·sin(0.4), row y·cos(0.4) (scikit-image of 2019)."""

    def warp(x: Floats, sign: int) -> Floats:
        return parts.affine(x, np.array([[1.0, -math.sin(0.4 * sign)], [0.0, math.cos(0.4)]]))

    return _to_uint8(_by_sign(_unit(images), u[:, 0], warp))


def scale(images: Images, u: Floats) -> Images:
    """Shrink the digit to 70 % about the centre."""
    return _to_uint8(parts.affine(_unit(images), np.array([[1.0 / 0.7, 0.0], [0.0, 1.0 / 0.7]])))


def rotate(images: Images, u: Floats) -> Images:
    """Turn by ±0.4 rad about the centre."""

    def warp(x: Floats, sign: int) -> Floats:
        cos, sin = math.cos(0.4), math.sin(0.4 * sign)
        return parts.affine(x, np.array([[cos, -sin], [sin, cos]]))

    return _to_uint8(_by_sign(_unit(images), u[:, 0], warp))


def brightness(images: Images, u: Floats) -> Images:
    """Add half of the range: min(x + 0.5, 1), in whole numbers min(value + 128, 255)."""
    return np.minimum(images.astype(np.int16) + 128, 255).astype(np.uint8)


def translate(images: Images, u: Floats) -> Images:
    """Move by 3 pixels, up or down and left or right."""

    def vertical(x: Floats, sign: int) -> Floats:
        return parts.shift(x, 3 * sign, 0)

    def horizontal(x: Floats, sign: int) -> Floats:
        return parts.shift(x, 0, 3 * sign)

    return _to_uint8(_by_sign(_by_sign(_unit(images), u[:, 0], vertical), u[:, 1], horizontal))


def stripe(images: Images, u: Floats) -> Images:
    """Invert columns 0 to 6 and 21 to 27."""
    out = images.copy()
    out[:, :, :7] = 255 - images[:, :, :7]
    out[:, :, 21:] = 255 - images[:, :, 21:]
    return out


def add_fog(x: Floats, plasma: Floats) -> Floats:
    """Add 3 · plasma and scale back so that the brightest possible pixel is as bright as the image's brightest was."""
    top = x.max(axis=(1, 2), keepdims=True)
    foggy: Floats = (x + 3.0 * plasma) * (top / (top + 3.0))
    return foggy


def fog(images: Images, u: Floats) -> Images:
    """Cover the image with a plasma fractal of decay 1.4, three times as bright as ink."""
    return _to_uint8(add_fog(_unit(images), parts.plasma(u, decay=1.4)))


def spatter(images: Images, u: Floats) -> Images:
    """Splash drops of grey 63/255: a blurred N(0.65, 0.3) field above 0.65, blurred (1.5), where it is at least 0.8."""
    radius = 0.3 * np.sqrt(-2.0 * np.log1p(-u[:, : _PIXELS // 2].astype(np.float64)))
    angle = 2.0 * math.pi * u[:, _PIXELS // 2 :].astype(np.float64)
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)  # Box & Muller 1958
    liquid = parts.gaussian_blur((0.65 + normal).astype(np.float32).reshape(images.shape), 1.0)
    mask = parts.gaussian_blur((liquid > 0.65).astype(np.float32), 1.5)
    mask[mask < 0.8] = 0.0
    return _to_uint8(_unit(images) * (1.0 - mask) + mask * np.float32(63.0 / 255.0))


def dotted_line(images: Images, u: Floats) -> Images:
    """Add a dotted line across the image; both end rows are drawn from 0 … 26."""
    rows = _integers(u, 0, SIZE - 1)
    drawn = [parts.dotted_line(int(row0), int(row1)) for row0, row1 in rows]
    return _to_uint8(_unit(images) + np.array(drawn, np.float32).reshape(images.shape))


def zigzag(images: Images, u: Floats) -> Images:
    """Add a zigzag from column 2 to 25; its start row is drawn from 0 … 26, its end row is -5 … +4 from there."""
    start, rise = _integers(u[:, 0], 0, SIZE - 1), _integers(u[:, 1], -5, 5)
    drawn = [parts.zigzag(int(row), int(row + by)) for row, by in zip(start, rise, strict=True)]
    return _to_uint8(_unit(images) + np.array(drawn, np.float32).reshape(images.shape))


def canny_edges(images: Images, u: Floats) -> Images:
    """Replace the image by its Canny edges (sigma 1): 255 on an edge, 0 elsewhere."""
    return parts.canny(_unit(images), sigma=1.0).astype(np.uint8) * np.uint8(255)


class Corruption(NamedTuple):
    """One row of the table.

    Attributes:
        apply: `(N, 28, 28)` uint8 and `(N, draws)` float32 in [0, 1) to `(N, 28, 28)` uint8.
        draws: how many uniform numbers one image takes.
    """

    apply: Callable[[Images, Floats], Images]
    draws: int


TABLE: dict[str, Corruption] = {
    "shot_noise": Corruption(shot_noise, _PIXELS),
    "impulse_noise": Corruption(impulse_noise, _PIXELS),
    "glass_blur": Corruption(glass_blur, len(_GLASS_SITES)),
    "motion_blur": Corruption(motion_blur, 1),
    "shear": Corruption(shear, 1),
    "scale": Corruption(scale, 0),
    "rotate": Corruption(rotate, 1),
    "brightness": Corruption(brightness, 0),
    "translate": Corruption(translate, 2),
    "stripe": Corruption(stripe, 0),
    "fog": Corruption(fog, 256 * 256),
    "spatter": Corruption(spatter, _PIXELS),
    "dotted_line": Corruption(dotted_line, 2),
    "zigzag": Corruption(zigzag, 2),
    "canny_edges": Corruption(canny_edges, 0),
}
CORRUPTIONS: tuple[str, ...] = tuple(TABLE)


def _generator(seed: int, name: str) -> np.random.Philox:
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return np.random.Philox(key=int.from_bytes(digest[:16], "big"))


def _uniform(generator: np.random.Philox, n: int, draws: int) -> Floats:
    """Draw the next `(n, draws)` numbers in [0, 1), multiples of 2**-24; raw bits stay the same in every NumPy."""
    pairs = (draws + 1) // 2
    bits = generator.random_raw(n * pairs).astype("<u8", copy=False).view("<u4").reshape(n, 2 * pairs)[:, :draws]
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def check_name(name: str) -> None:
    """Refuse a name that is not in `CORRUPTIONS`.

    Raises:
        ValueError: with the nearest name, if one is near, and the list of all.
    """
    if name not in TABLE:
        near = difflib.get_close_matches(str(name), CORRUPTIONS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"corruption: {name!r} is not known ({hint}allowed: {', '.join(CORRUPTIONS)})")


def check_images(images: Images) -> None:
    """Refuse anything but `(N, 28, 28)` uint8.

    Raises:
        ValueError: with what was given and what is allowed.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIZE, SIZE):
        raise ValueError(f"corruption: images of {images.dtype} {images.shape} are not allowed; uint8 (N, 28, 28) is")


def corrupt(images: Images, name: str, *, seed: int) -> Images:
    """Corrupt images with one of the 15 corruptions of MNIST-C.

    Args:
        images: `(N, 28, 28)` uint8, white ink on black; not changed. N may be 0.
        name: one of `CORRUPTIONS`.
        seed: any integer. What happens to image i depends on (seed, name, i) alone.

    Returns:
        `(N, 28, 28)` uint8, a new array.

    Raises:
        ValueError: the name is unknown, or the images are not `(N, 28, 28)` uint8.
    """
    check_name(name)
    check_images(images)
    corruption, generator = TABLE[name], _generator(seed, name)
    out = np.empty_like(images, order="C")
    chunk = max(1, min(1000, _CHUNK_BYTES // (4 * max(corruption.draws, 1))))
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        out[start : start + chunk] = corruption.apply(part, _uniform(generator, len(part), corruption.draws))
    return out
