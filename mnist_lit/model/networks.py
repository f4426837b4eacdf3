"""The networks, as plain modules: normalised images `(N, 1, 28, 28)` in, logits `(N, 10)` out.

Nothing here knows of training, data or Lightning; a network can be lifted out and used alone.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

NetworkName = Literal["reference", "compact", "vgg", "strided", "fast", "deep", "wide", "tiny"]
NETWORK_NAMES: tuple[str, ...] = get_args(NetworkName)
# Where the views of `mean_of_views` are moved to: rows and columns.
_MOVES = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


class Normalize(nn.Module):
    """Scale uint8 (or float 0 to 255) pixels to [0, 1] and standardise them, on their device.

    The two numbers are buffers: they are in the state dict and travel with the model.

    Args:
        mean: mean of the training pixels, in [0, 1].
        std: standard deviation of the training pixels, above 0, in the same unit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, 1, 28, 28)`, 0 to 255, to standardised float32 of the same shape."""
        return (images.float() - self.mean * 255.0) / (self.std * 255.0)


class ReferenceCNN(nn.Module):
    """The network of the original MNIST-Pytorch-CNN (2023): four convolution stages and a full connection.

    456,650 parameters. Submodules, their order and so the keys of the state dict are the original's: its published
    weights load with `strict=True` (they expect pixels in [0, 1]: mean 0, standard deviation 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(  # (N, 1, 28, 28) -> (N, 32, 24, 24)
            nn.Conv2d(1, 32, kernel_size=5),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
        )
        self.layer2 = nn.Sequential(  # -> (N, 64, 20, 20), pooled to (N, 64, 16, 16)
            nn.Conv2d(32, 64, kernel_size=5),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=5, stride=1, padding=2, dilation=2),
        )
        self.layer3 = nn.Sequential(  # -> (N, 64, 12, 12), pooled to (N, 64, 8, 8)
            nn.Conv2d(64, 64, kernel_size=5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=5, stride=1, padding=2, dilation=2),
        )
        self.layer4 = nn.Sequential(  # -> (N, 64, 6, 6), pooled to (N, 64, 4, 4)
            nn.Conv2d(64, 64, kernel_size=3),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, dilation=2),
        )
        self.fc = nn.Sequential(  # -> (N, 1024) -> (N, 256) -> (N, 10)
            nn.Flatten(),
            nn.ReLU(),
            nn.Linear(64 * 4 * 4, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(images))))
        logits: Tensor = self.fc(features)
        return logits


class CompactCNN(nn.Module):
    """A small network for studies of many trainings: two convolution stages and a full connection.

    215,194 parameters. Source: the 215,194-parameter network of a published sub-second MNIST training (one epoch,
    batches of 256, Adam with a one-cycle rate: 99.04 % over 30 seeds).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(  # (N, 1, 28, 28) -> (N, 24, 24, 24), pooled to (N, 24, 12, 12)
            nn.Conv2d(1, 24, kernel_size=5),
            nn.MaxPool2d(kernel_size=2),
            nn.ReLU(inplace=True),
        )
        self.layer2 = nn.Sequential(  # -> (N, 32, 10, 10), pooled to (N, 32, 5, 5)
            nn.Conv2d(24, 32, kernel_size=3),
            nn.MaxPool2d(kernel_size=2),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Sequential(  # -> (N, 800) -> (N, 256) -> (N, 10)
            nn.Flatten(),
            nn.Linear(32 * 5 * 5, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        logits: Tensor = self.fc(self.layer2(self.layer1(images)))
        return logits


class SmallVGG(nn.Module):
    """Six convolutions in three stages with batch normalisation everywhere, and a mean over the last feature maps.

    205,290 parameters. Nothing in it depends on where in the image the digit lies but the poolings' grid, and every
    stage can be adapted to new images by its batch normalisation (`mnist_lit.model.adaptation`).

    Source: Simonyan and Zisserman 2014 (stages of 3×3 convolutions), Ioffe and Szegedy 2015 (batch normalisation), Lin
    et al. 2013 (global average pooling).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(  # (N, 1, 28, 28) -> (N, 32, 28, 28), pooled to (N, 32, 14, 14)
            *_convolution(1, 32, kernel_size=5), *_convolution(32, 32), nn.MaxPool2d(kernel_size=2)
        )
        self.layer2 = nn.Sequential(  # -> (N, 64, 14, 14), pooled to (N, 64, 7, 7)
            *_convolution(32, 64), *_convolution(64, 64), nn.MaxPool2d(kernel_size=2)
        )
        self.layer3 = nn.Sequential(  # -> (N, 96, 7, 7), averaged to (N, 96, 1, 1)
            *_convolution(64, 96), *_convolution(96, 96), nn.AdaptiveAvgPool2d(1)
        )
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(96, 10))  # -> (N, 96) -> (N, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        logits: Tensor = self.fc(self.layer3(self.layer2(self.layer1(images))))
        return logits


class StridedCNN(nn.Module):
    """Four convolutions, two of which step over pixels in place of pooling: for one image at a time, quickly.

    161,898 parameters, 2.0 million multiplications an image; each convolution with its batch normalisation and
    rectifier is one operation once it is exported. Only the second is padded: what lies about the edges is paper.

    Source: Springenberg et al. 2014, arXiv 1412.6806 (strides in place of pooling), Ioffe and Szegedy 2015.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(*_convolution(1, 32, kernel_size=5, stride=2, padding=0))  # -> (N, 32, 12, 12)
        self.layer2 = nn.Sequential(*_convolution(32, 64, stride=2))  # -> (N, 64, 6, 6)
        self.layer3 = nn.Sequential(*_convolution(64, 96, padding=0))  # -> (N, 96, 4, 4)
        self.layer4 = nn.Sequential(*_convolution(96, 96, padding=0))  # -> (N, 96, 2, 2)
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(96 * 2 * 2, 10))  # -> (N, 384) -> (N, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        logits: Tensor = self.fc(self.layer4(self.layer3(self.layer2(self.layer1(images)))))
        return logits


class FastCNN(nn.Module):
    """Two convolution stages and a full connection, made for the shortest training on a CPU.

    105,322 parameters, 0.57 million multiplications an image. It looks at the inner 24 × 24 pixels (a digit of MNIST
    fills 20 × 20), pools before it normalises, so that batch normalisation and rectifier have a quarter of the values
    to go through, and has few channels where maps are large.
    """

    def __init__(self) -> None:
        super().__init__()
        # (N, 1, 24, 24) -> (N, 16, 20, 20), pooled to (N, 16, 10, 10)
        self.layer1 = nn.Sequential(*_pooled_convolution(1, 16, kernel_size=5, padding=0))
        # -> (N, 24, 8, 8), pooled to (N, 24, 4, 4)
        self.layer2 = nn.Sequential(*_pooled_convolution(16, 24, kernel_size=3, padding=0))
        self.fc = nn.Sequential(  # -> (N, 384) -> (N, 256) -> (N, 10)
            nn.Flatten(),
            nn.Linear(24 * 4 * 4, 256, bias=False),
            nn.BatchNorm1d(256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        logits: Tensor = self.fc(self.layer2(self.layer1(images[:, :, 2:26, 2:26])))
        return logits


class DeepCNN(nn.Module):
    """Six 3×3 convolutions without padding, one pooling after the second, and a full connection: for accuracy.

    890,666 parameters, 38 million multiplications an image. Two convolutions look at the whole image before anything
    is pooled; after it maps shrink by the convolutions themselves, and the full connection sees where everything lies.

    Args:
        width: how many times as many channels, 1 or more.

    Source: An et al. 2020, arXiv 2008.10400 (3×3 convolutions without padding, no pooling between them).
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        a, b, c, d, e, f = (width * channels for channels in (32, 64, 96, 128, 192, 256))
        self.layer1 = nn.Sequential(*_convolution(1, a, padding=0))  # (N, 1, 28, 28) -> (N, 32, 26, 26)
        # -> (N, 64, 24, 24), pooled to (N, 64, 12, 12)
        self.layer2 = nn.Sequential(*_pooled_convolution(a, b, kernel_size=3, padding=0))
        self.layer3 = nn.Sequential(*_convolution(b, c, padding=0))  # -> (N, 96, 10, 10)
        self.layer4 = nn.Sequential(*_convolution(c, d, padding=0))  # -> (N, 128, 8, 8)
        self.layer5 = nn.Sequential(*_convolution(d, e, padding=0))  # -> (N, 192, 6, 6)
        self.layer6 = nn.Sequential(*_convolution(e, f, padding=0))  # -> (N, 256, 4, 4)
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(f * 4 * 4, 10))  # -> (N, 4096) -> (N, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        features: Tensor = self.layer3(self.layer2(self.layer1(images)))
        logits: Tensor = self.fc(self.layer6(self.layer5(self.layer4(features))))
        return logits


class WideCNN(nn.Module):
    """Three deep networks of twice the width side by side in one, for a GPU: each learns by itself.

    10,431,198 parameters, 461 million multiplications an image. The columns start from different weights, and since
    each has a loss of its own, they stay different enough to make up for some of each other's mistakes.

    Source: Cireşan et al. 2012, arXiv 1202.2745 (columns, whose answers are averaged).
    """

    def __init__(self) -> None:
        super().__init__()
        self.column1 = DeepCNN(width=2)
        self.column2 = DeepCNN(width=2)
        self.column3 = DeepCNN(width=2)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to the logits of each column in training, `(N, 10, 3)`.

        In evaluation to `(N, 10)`: the logarithm of the columns' mean probabilities.
        """
        logits = torch.stack([self.column1(images), self.column2(images), self.column3(images)], dim=2)
        return logits if self.training else mean_answer(logits)


class TinyCNN(nn.Module):
    """Four narrow convolutions and a mean over the last feature maps, with as few parameters as possible.

    4,986 parameters, 0.6 million multiplications for one view of an image. In evaluation it answers with the mean of
    nine views (`mean_of_views`): pooling makes a narrow network depend on where exactly a stroke meets its grid. A
    training step looks at one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(*_pooled_convolution(1, 8, kernel_size=5, padding=0))  # -> (N, 8, 12, 12)
        self.layer2 = nn.Sequential(  # -> (N, 14, 12, 12), pooled to (N, 14, 6, 6)
            *_convolution(8, 14), *_pooled_convolution(14, 14, kernel_size=3, padding=1)
        )
        self.layer3 = nn.Sequential(*_convolution(14, 14), nn.AdaptiveAvgPool2d(1))  # -> (N, 14, 1, 1)
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(14, 10))  # -> (N, 14) -> (N, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images `(N, 1, 28, 28)` to logits `(N, 10)`."""
        return self._look(images) if self.training else mean_of_views(self._look, images)

    def _look(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer3(self.layer2(self.layer1(images))))
        return logits


def mean_of_views(look: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Look at each image as it is and moved by one pixel in the eight directions; answer with the mean.

    Args:
        look: maps `(K, 1, 28, 28)` to logits `(K, 10)`.
        images: normalised, `(N, 1, 28, 28)`; their outermost pixels are paper.

    Returns:
        float32 `(N, 10)`: the logarithm of the views' mean probabilities.
    """
    views = torch.cat([images, *(torch.roll(images, move, dims=(2, 3)) for move in _MOVES)])
    return mean_answer(look(views).view(len(_MOVES) + 1, -1, 10).permute(1, 2, 0))


def mean_answer(logits: Tensor) -> Tensor:
    """Map K logits of each image, `(N, 10, K)`, to the logarithm of their mean probabilities, float32 `(N, 10)`."""
    summed = torch.log_softmax(logits.float(), dim=1).logsumexp(dim=2)
    return torch.log_softmax(summed, dim=1)  # divides by K


def _pooled_convolution(inputs: int, outputs: int, kernel_size: int, padding: int) -> tuple[nn.Module, ...]:
    """Return a convolution, pooling to half its size, batch normalisation and the rectifier: cheap in this order."""
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=False)
    return convolution, nn.MaxPool2d(kernel_size=2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


def _convolution(
    inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1, padding: int | None = None
) -> tuple[nn.Module, ...]:
    """Return a convolution, its batch normalisation and the rectifier.

    Left out, the padding is such that a stride of 1 keeps the size.
    """
    around = kernel_size // 2 if padding is None else padding
    convolution = nn.Conv2d(inputs, outputs, kernel_size, stride, padding=around, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


_NETWORKS: dict[str, type[nn.Module]] = {
    "reference": ReferenceCNN,
    "compact": CompactCNN,
    "vgg": SmallVGG,
    "strided": StridedCNN,
    "fast": FastCNN,
    "deep": DeepCNN,
    "wide": WideCNN,
    "tiny": TinyCNN,
}


def build_network(name: str) -> nn.Module:
    """Make a fresh network by its name in the config.

    Raises:
        ValueError: no network has that name; the message lists those there are.
    """
    if name in NETWORK_NAMES:  # a tuple: names out of files may be anything
        return _NETWORKS[name]()
    raise ValueError(f"model.network: {name!r} is unknown; the networks are {', '.join(NETWORK_NAMES)}")
