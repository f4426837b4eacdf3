"""From an evenly lit sheet to a photo of it: the table, the view at an angle, light and shadow, lens, sensor, JPEG."""

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.study.page_ink import Floats, smooth_noise
from mnist_lit.study.page_looks import Look

Matrix = npt.NDArray[np.float64]
_PAPER_LEVEL = 0.85  # what automatic exposure makes of the brightest paper
_MAX_GAIN = 1.6


def view(look: Look, rng: np.random.Generator, zoom: float) -> Matrix:
    """Return the 3×3 matrix that takes points of the page to points of the photo.

    Args:
        look: what the page looks like.
        rng: where chance comes from.
        zoom: how large the page is in the photo; 1 fills it.
    """
    size = np.array([look.width, look.height], np.float64)
    corners = size * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    angle = np.radians(look.tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - size / 2) @ turn.T * zoom
    displaced = rng.uniform(-look.perspective, look.perspective, (4, 2)) * size.min()
    shift = rng.uniform(-0.25, 0.25, 2) * (1 - zoom) * size
    target = moved + displaced + shift + size / 2
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32)), np.float64)


def project(points: npt.NDArray[np.float64], matrix: Matrix) -> npt.NDArray[np.float64]:
    """Take points `(N, 2)` (x, y) of the page to points of the photo."""
    return np.asarray(cv2.perspectiveTransform(points[None].astype(np.float64), matrix)[0], np.float64)


def table_top(look: Look, rng: np.random.Generator) -> Floats:
    """Return a table without the note, `(H, W, 3)`, 0 to 1."""
    shape = (look.height, look.width)
    unit = min(shape)
    if look.table == "wood":
        along = cv2.resize(
            rng.standard_normal((max(2, shape[0] * 90 // unit), 4), dtype=np.float32),
            (shape[1], shape[0]),
            interpolation=cv2.INTER_CUBIC,
        )
        rings = np.sin(0.02 * 900 / unit * np.arange(shape[0])[:, None] + 3 * smooth_noise(rng, shape, unit / 2))
        pattern = 1 + 0.10 * along + 0.08 * rings + 0.02 * smooth_noise(rng, shape, 2)
        colour = np.array((0.47, 0.32, 0.20), np.float32) * float(rng.uniform(0.7, 1.15))
    else:
        pattern = 1 + 0.08 * smooth_noise(rng, shape, unit / 4) + 0.04 * smooth_noise(rng, shape, 2)
        colour = np.array((0.17, 0.165, 0.17), np.float32) * float(rng.uniform(0.5, 1.4))
    return np.asarray(np.clip(colour * pattern[..., None], 0, 1), np.float32)


def photograph(sheet: Floats, look: Look, bleed: int, matrix: Matrix, rng: np.random.Generator) -> Floats:
    """Return the sheet as it lies in the photo, `(H, W, 3)`, 0 to 1, evenly lit; the table shows where it ends."""
    size = (look.width, look.height)
    from_bleed = np.array([[1, 0, -bleed], [0, 1, -bleed], [0, 0, 1]], np.float64)
    seen = cv2.warpPerspective(sheet, matrix @ from_bleed, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    if not look.table:
        return np.asarray(seen, np.float32)
    page = np.array([[0, 0], [look.width, 0], [look.width, look.height], [0, look.height]], np.float64)
    cover = np.zeros(size[::-1], np.uint8)
    fine = 4  # binary digits of a pixel's fraction
    cv2.fillConvexPoly(cover, np.round(project(page, matrix) * 2**fine).astype(np.int32), 255, cv2.LINE_AA, fine)
    covered = cover.astype(np.float32)[..., None] / 255
    unit = min(size)
    shade = cv2.GaussianBlur(cover, (0, 0), 0.012 * unit).astype(np.float32)[..., None] / 255
    table = table_top(look, rng) * (1 - 0.5 * shade)
    return np.asarray(table + covered * (seen - table), np.float32)


def light(look: Look, rng: np.random.Generator) -> Floats:
    """Return how much light reaches each point of the photo, `(H, W)`, at most 1."""
    reduced = 4
    shape = (look.height // reduced + 1, look.width // reduced + 1)
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    along = (along - along.min()) / np.ptp(along)
    round_off = ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
    level = 1 - look.falloff * (0.8 * along + 0.2 * round_off)
    unit = min(shape)
    for darkness, edge in ((look.soft_shadow, rng.uniform(0.05, 0.14)), (look.hard_shadow, rng.uniform(0.004, 0.015))):
        shadow = np.zeros(shape, np.float32)
        centre = rng.uniform(0.1, 0.9, 2) * shape[::-1]
        if rng.random() < 0.5:  # a hand or a phone
            axes = rng.uniform(0.4, 1.3, 2) * unit
            cv2.ellipse(shadow, (tuple(centre), tuple(axes), float(rng.uniform(0, 180))), 1.0, -1)
        else:  # the edge of something large
            turn = rng.uniform(0, 2 * np.pi)
            ahead = np.array([np.cos(turn), np.sin(turn)]) * 3 * max(shape)
            aside = np.array([-ahead[1], ahead[0]])
            corners = [centre - aside, centre + aside, centre + aside + ahead, centre - aside + ahead]
            cv2.fillConvexPoly(shadow, np.round(corners).astype(np.int32), 1.0)
        level = level * (1 - darkness * cv2.GaussianBlur(shadow, (0, 0), edge * unit))
    return np.asarray(cv2.resize(level.astype(np.float32), (look.width, look.height)), np.float32)


def expose(scene: Floats, look: Look, height: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return what a camera makes of a scene: blurred, noisy, compressed; RGB uint8 `(H, W, 3)`.

    Args:
        scene: `(H, W, 3)`, 0 to 1; overwritten.
        look: what the page looks like.
        height: digit height in the photo, pixels.
        rng: where chance comes from.
    """
    tint = 1 + rng.uniform(-0.35, 0.35) * look.falloff * np.array([1, 0.1, -1])  # warm or cool light
    scene *= np.minimum(tint / max(tint), 1).astype(np.float32)
    if not look.is_board:  # a camera exposes for the paper
        scene *= float(np.clip(_PAPER_LEVEL / np.quantile(scene[::8, ::8, 1], 0.95), 1, _MAX_GAIN))
    if (sigma := look.blur * height) > 0.25:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), sigma), np.float32)
    shape = scene.shape[:2]
    grey_noise = rng.standard_normal(shape, dtype=np.float32)[..., None]
    noise = 0.7 * rng.standard_normal(scene.shape, dtype=np.float32)
    noise += 0.7 * grey_noise
    noise *= look.noise * np.sqrt(np.clip(scene, 0.08, 1))  # photons: brighter is noisier
    scene += noise
    image = np.asarray(np.clip(scene * 255, 0, 255), np.uint8)
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, look.jpeg])
    assert done
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
