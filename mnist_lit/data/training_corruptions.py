"""Corruptions for training, outside the 15 of MNIST-C: a batch in, each of its samples spoilt in its own way.

A model that is tested on MNIST-C must not have trained on it, so neither the 15 nor near copies of them are here. In:

==============  =====================================================================================================
gaussian_noise  added to ink and paper alike; shot noise leaves paper clean, impulse noise makes single pixels extreme
gaussian_blur   round and smooth; glass blur shuffles pixels, motion blur goes to one side
defocus_blur    a disk
zoom_blur       mean of enlarged copies; radial, and the digit itself keeps its size
frost           needles of ice at three angles over one side of the image; fog is a smooth cloud over all of it, four
                times weaker in contrast
contrast        towards the image's own mean, which is dark; brightness lifts the whole image by half of the range
gamma           black stays black and white stays white
jpeg            coarse quantisation of 8 × 8 cosine blocks
pixelate        large square pixels
elastic         smooth local bending; the affine part of the field is taken out: no shift, turn, slant or scale
quantise        2 to 5 grey levels; Canny edges are binary, but outlines
inverse         the whole image, never a part of it; stripe inverts two bands, and has edges where they end
thicken, thin   wider or narrower strokes
erase           one or two rectangles of even grey, as published (Zhong et al. 2017); what they cover is gone, while
                stripe inverts and so keeps it
grid            a lattice of squares cut out of the digit; none of the 15 removes ink in blocks
hairs           thin arcs of circles; the lines of MNIST-C are straight and cut up (dotted_line) or bent in sharp
                corners (zigzag)
==============  =====================================================================================================

Left out, though not among the 15 by name: *speckle* (on ink of about 1 it looks like shot noise), *line* (dotted_line
without gaps, zigzag without corners), *snow* (streaks, as of a line cut up), ripples (bands, as of stripe), *saturate*
and greys of ink and paper drawn at random (without colour, a gain and an offset: brightness), uneven lighting and
clouds (fog), pixel shuffling and median-like smearing (glass blur), outlines, gradients and inverted parts
(canny_edges, stripe), drops and blots (spatter), salt or pepper alone (impulse noise). Rotation, shift, scale and shear
belong to geometric augmentation (`mnist_lit.data.augment`), not to this set.

One kind is here for models that read photos, and is not in the default set, since it is too near to fog: `uneven`, a
smooth field of light on the paper. Nothing that is scored on the 15 trains on it.

What a sample gets is a function of (seed, epoch, sample index), see `mnist_lit.data.counter_rng`.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnist_lit.data.counter_rng import uniform
from mnist_lit.data.training_recipes import RECIPES

NEAR_COPIES = ("uneven",)  # for photos; too near to one of the 15 (fog) to train on for a score on them
TRAINING_CORRUPTIONS: tuple[str, ...] = tuple(name for name in RECIPES if name not in NEAR_COPIES)

_STREAM = 0x5000  # of choice and severities; fields of kind k draw from _STREAM + 1 + k; other consumers stay below
_FEW = max(recipe.draws for recipe in RECIPES.values() if recipe.draws < 10)  # what all recipes without a field take


@dataclass(frozen=True)
class TrainingCorruptions:
    """Spoil training images: with probability `p` a sample gets one of `kinds`, drawn evenly, at its own severity.

    Args:
        p: probability that a sample is corrupted, 0 to 1; or several, which the seeds take in turn (seed n the one at
            n modulo their number), so that the networks of a committee do not all learn from the same images.
        kinds: which corruptions to draw from; any of `TRAINING_CORRUPTIONS` and `NEAR_COPIES`, each once.

    Raises:
        ValueError: a value is not allowed; the message names the field, the value and what is allowed.
    """

    p: float | tuple[float, ...] = 0.5
    kinds: tuple[str, ...] = TRAINING_CORRUPTIONS

    def __post_init__(self) -> None:
        if not self._values or not all(0.0 <= value <= 1.0 for value in self._values):
            raise ValueError(f"corruptions.p: {self.p} is not allowed; 0 to 1 is, or a list of such")
        allowed = ", ".join(RECIPES)
        for kind in self.kinds:
            if kind not in RECIPES:
                near = difflib.get_close_matches(str(kind), RECIPES, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(f"corruptions.kinds: {kind!r} is not known ({hint}allowed: {allowed})")
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise ValueError(
                f"corruptions.kinds: {list(self.kinds)} is not allowed; one or more, each once, of {allowed}"
            )

    @property
    def _values(self) -> Sequence[float]:
        return self.p if isinstance(self.p, Sequence) else (self.p,)

    def p_of(self, seed: int) -> float:
        """Return the probability that holds in the run of a seed."""
        return self._values[seed % len(self._values)]

    @torch.no_grad()
    def __call__(self, images: Tensor, *, seed: int, epoch: int, indices: Tensor) -> Tensor:
        """Corrupt a batch on its device.

        Args:
            images: `(N, 1, 28, 28)`, uint8 or float, 0 to 255; not changed.
            seed: seed of the run.
            epoch: epoch, from 0.
            indices: `(N,)` int64, each sample's index in the training set.

        Returns:
            `(N, 1, 28, 28)` float32, 0 to 255, on the device of `images`. A sample's result does not depend on the
            other samples of the batch.
        """
        # The choices are made on the CPU, so that a batch on a GPU waits once and not once per kind.
        choice = uniform(seed, epoch, indices.cpu(), 2 + _FEW, _STREAM)
        kind = (choice[:, 1].double() * len(self.kinds)).long()
        kind[choice[:, 0] >= self.p_of(seed)] = len(self.kinds)
        order = torch.argsort(kind, stable=True)
        counts = torch.bincount(kind, minlength=len(self.kinds) + 1).tolist()

        few = choice[order, 2:].to(images.device)
        order = order.to(images.device)
        sorted_indices = indices.to(images.device)[order]
        pixels = images.float()[:, 0]
        unit = pixels[order] / 255.0
        parts: list[Tensor] = []
        start = 0
        for name, count in zip(self.kinds, counts, strict=False):
            if count:
                recipe, rows = RECIPES[name], slice(start, start + count)
                if recipe.draws <= _FEW:
                    u = few[rows]
                else:
                    stream = _STREAM + 1 + list(RECIPES).index(name)
                    u = uniform(seed, epoch, sorted_indices[rows], recipe.draws, stream)
                parts.append(recipe.apply(unit[rows], u).clamp_(0.0, 1.0) * 255.0)
            start += count
        out = pixels.clone()
        if parts:
            out[order[:start]] = torch.cat(parts)
        return out[:, None]
