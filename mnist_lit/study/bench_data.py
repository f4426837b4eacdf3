"""`python -m mnist_lit bench data`: training images a second, from memory to a batch that is ready for the network.

Four ways in turn: bare indexing, our loader, our loader with the default config's augmentation, and a DataLoader that
sends each image through torchvision's transforms.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.augment import Augmentation, random_warp
from mnist_lit.data.batches import BatchLoader, BatchOrder, DigitDataset
from mnist_lit.data.idx import BUNDLED, DigitSet, read_set
from mnist_lit.study.bench_output import aligned, machine_line, whole, write_output
from mnist_lit.study.measuring import Spread, seconds_in_turn, spread, surroundings
from mnist_lit.study.recipes import Samples

SCHEMA = 1
BARE, OWN, AUGMENTED, STOCK = "bare indexing", "our loader", "our loader, augmented", "DataLoader, per sample"
AUGMENT = Augmentation(degrees=10.0, translate=2.0, scale=0.1, shear=5.0)  # that of configs/default.yaml
IMAGES, SLOW_IMAGES, BATCH = 60_000, 3_000, 64


def make_peers(digits: DigitSet, images: int, slow_images: int) -> dict[str, tuple[Callable[[], None], int]]:
    """Return, by name, what takes a number of training images in batches of 64, and that number.

    Args:
        digits: where they come from.
        images: how many the fast peers take.
        slow_images: how many the augmented and the per-sample one take.
    """

    def dataset(count: int) -> DigitDataset:
        pixels = torch.tensor(digits.images[:count])[:, None]
        return DigitDataset(pixels, torch.tensor(digits.labels[:count], dtype=torch.int64), torch.arange(count))

    def loader(count: int) -> BatchLoader:
        return BatchLoader(dataset(count), BatchOrder(count, BATCH, shuffle=True))

    own, augmented = loader(images), loader(slow_images)
    held = dataset(images)
    few = DigitSet(digits.images[:slow_images], digits.labels[:slow_images], digits.sha256)
    stock = DataLoader(Samples(few), batch_size=BATCH, shuffle=True)

    def index() -> None:
        for chosen in torch.split(torch.randperm(images), BATCH):
            held.images[chosen], held.targets[chosen]

    def load() -> None:
        for _ in own:
            pass

    def load_augmented() -> None:
        for batch in augmented:
            random_warp(batch.images, AUGMENT, seed=0, epoch=0, indices=batch.indices)

    def load_stock() -> None:
        for _ in stock:
            pass

    return {
        BARE: (index, images),
        OWN: (load, images),
        AUGMENTED: (load_augmented, slow_images),
        STOCK: (load_stock, slow_images),
    }


def measure(peers: dict[str, tuple[Callable[[], None], int]], rounds: int) -> dict[str, Any]:
    """Return images a second of every peer as plain data, and how many times the per-sample peer's rate that is."""
    times = seconds_in_turn({name: action for name, (action, _) in peers.items()}, rounds)
    rates = {name: [peers[name][1] / seconds for seconds in own] for name, own in times.items()}
    return {
        name: {
            "images_per_second": spread(own).plain(1),
            "to_per_sample": spread([a / b for a, b in zip(own, rates[STOCK], strict=True)]).plain(3),
            "images": peers[name][1],
        }
        for name, own in rates.items()
    }


def table(data: dict[str, Any]) -> str:
    """Return what is printed; `data` is the content of the JSON file."""
    rows = [("way", "images a second", "times per sample")]
    for name, one in data["peers"].items():
        rows.append((name, rate_text(one["images_per_second"]), Spread(**one["to_per_sample"]).text(1)))
    return f"{aligned(rows)}\nmedian (first to third quartile) over {data['rounds']} rounds"


def rate_text(value: dict[str, Any]) -> str:
    """Write images a second: `1,200 (1,100–1,300)`."""
    return f"{value['median']:,.0f} ({value['low']:,.0f}–{value['high']:,.0f})"


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench data", "Count the training images a second that different loaders give.")
    parser.add_argument("--rounds", type=whole("--rounds"), default=7, metavar="N", help="turns of each (7)")
    parser.add_argument("--images", type=whole("--images"), default=IMAGES, help=f"of the fast ones, a turn ({IMAGES})")
    parser.add_argument(
        "--slow-images", type=whole("--slow-images"), default=SLOW_IMAGES, help=f"of the slow ones ({SLOW_IMAGES})"
    )
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure here")
    options = parser.parse_args(args)
    where = surroundings()
    print(machine_line(where), flush=True)  # noqa: T201
    digits = read_set(BUNDLED, "train", known_as="mnist")
    fast, slow = (min(count, len(digits.labels)) for count in (options.images, options.slow_images))
    peers = measure(make_peers(digits, fast, slow), options.rounds)
    data = {
        "schema": SCHEMA, "benchmark": "data", "batch_size": BATCH, "rounds": options.rounds, "peers": peers,
        "environment": where,
    }  # fmt: skip
    print(table(data))  # noqa: T201
    write_output(options.output, data)
    return 0
