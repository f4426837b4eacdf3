"""Two published ways to train on MNIST, written anew from their facts in plain PyTorch, to compare with.

Digits come in, plain data goes out. Nothing here imports Lightning: a process that runs a recipe pays for torch alone.
"""

import time
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mnist_lit.data.idx import DigitSet
from mnist_lit.model.networks import CompactCNN

MEAN, STD = 0.1307, 0.3081  # of the training pixels, as both sources give them
EXAMPLE_EPOCHS = 14


def _resident(digits: DigitSet, device: str) -> tuple[Tensor, Tensor]:
    """Return float32 images `(N, 1, 28, 28)`, normalised, channels last, and int64 labels, on a device."""
    images = torch.tensor(digits.images)[:, None].float().div_(255.0).sub_(MEAN).div_(STD)
    labels = torch.tensor(digits.labels, dtype=torch.int64)
    return images.to(device).contiguous(memory_format=torch.channels_last), labels.to(device)


def _now(device: str) -> float:
    """Return the clock, in seconds, once a GPU has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.no_grad()
def _accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    network.eval()
    right = sum(
        int((network(images[i : i + 1000]).argmax(dim=1) == labels[i : i + 1000]).sum())
        for i in range(0, len(labels), 1000)
    )
    return right / len(labels)


def published(train: DigitSet, test: DigitSet, seed: int, device: str = "cpu") -> dict[str, Any]:
    """Train the 215,194-parameter network for one epoch: batches of 256, Adam (0.7, 0.9), one cycle up to 0.01.

    Data are normalised and in memory before the clock starts; channels last, which is faster on CPUs.

    Source: a published training of 0.762 s on a GTX 1660 Ti, 99.041 ± 0.066 % over 30 seeds.

    Returns:
        `accuracy` on the test images, `train_seconds` of the loop, `data_seconds` of getting the images ready.
    """
    started = _now(device)
    images, labels = _resident(train, device)
    test_images, test_labels = _resident(test, device)
    torch.manual_seed(seed)
    network = CompactCNN()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no such overload
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.7, 0.9))
    ready = _now(device)
    steps = -(-len(labels) // 256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps, cycle_momentum=False)
    network.train()
    for chosen in torch.split(torch.randperm(len(labels)).to(device), 256):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images[chosen]), labels[chosen])
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        optimizer.step()
        schedule.step()
    trained = _now(device)
    return {
        "accuracy": _accuracy(network, test_images, test_labels),
        "train_seconds": trained - ready,
        "data_seconds": ready - started,
    }


class Samples(Dataset[tuple[Tensor, int]]):
    """One PIL image at a time, as torchvision's MNIST does, through torchvision's transforms."""

    def __init__(self, digits: DigitSet) -> None:
        from torchvision import transforms

        self._digits = digits
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])

    def __len__(self) -> int:
        return len(self._digits.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        image = cast(Tensor, self._transform(Image.fromarray(self._digits.images[index])))
        return image, int(self._digits.labels[index])


def example_network() -> nn.Module:
    """Return the network of PyTorch's examples/mnist: 1,199,882 parameters; its loss is the cross-entropy."""
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def example(
    train: DigitSet,
    test: DigitSet,
    seed: int,
    target: float,
    max_epochs: int = EXAMPLE_EPOCHS,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train as PyTorch's examples/mnist does, up to the first epoch whose test accuracy is at least `target`.

    Adadelta with a rate of 1.0, times 0.7 after each epoch; batches of 64; every image converted and normalised by
    torchvision, one at a time, in the main process. The end is chosen by the test images, in the recipe's favour.

    Source: github.com/pytorch/examples, mnist; 14 epochs by default.

    Returns:
        `accuracy` of the last epoch, `train_seconds` without the scoring, and `epochs`: accuracy and seconds of each.
    """
    torch.manual_seed(seed)
    loader = DataLoader(Samples(train), batch_size=64, shuffle=True)
    scored = DataLoader(Samples(test), batch_size=1000)
    network = example_network().to(device)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    epochs: list[dict[str, float]] = []
    while len(epochs) < max_epochs and not (epochs and epochs[-1]["accuracy"] >= target):
        started = _now(device)
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images.to(device)), labels.to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        seconds = _now(device) - started
        with torch.no_grad():
            network.eval()
            right = sum(
                int((network(images.to(device)).argmax(dim=1).cpu() == labels).sum()) for images, labels in scored
            )
        epochs.append({"accuracy": right / len(test.labels), "seconds": seconds})
    return {
        "accuracy": epochs[-1]["accuracy"],
        "train_seconds": sum(epoch["seconds"] for epoch in epochs),
        "epochs": epochs,
    }
