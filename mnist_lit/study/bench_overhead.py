"""`python -m mnist_lit bench overhead`: what Lightning adds to a training step, in milliseconds.

Two questions. What do the frames around a step of next to no work cost (a network of one layer): bare Lightning,
Lightning as `fit` sets it up, stock Lightning? And how much longer than its bare computation is a step of the
reference network, as `fit` trains it?
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.augment import Augmentation
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.run.precision import default_precision
from mnist_lit.run.quiet import silence_libraries
from mnist_lit.study.bench_output import aligned, machine_line, scaled, whole, write_output
from mnist_lit.study.measuring import Spread, spread, surroundings
from mnist_lit.study.step_peers import (
    ONE_LAYER,
    bare_steps,
    make_network,
    own_steps,
    plain_steps,
    stock_steps,
)

SCHEMA = 1
PLAIN, BARE, OWN, STOCK = "plain loop", "barebones Lightning", "fit", "stock Lightning"
AUGMENTED = "fit, augmented"
STEPS, WARM_UP = 600, 100  # of a turn with the one layer; the first ones are not counted
REFERENCE_STEPS, REFERENCE_WARM_UP = 40, 5
BATCH = 64
REFERENCE = "reference"
AUGMENT = Augmentation(degrees=10.0, translate=2.0, scale=0.1, shear=5.0)  # that of configs/default.yaml

Steps = Callable[[], list[float]]


def in_turn(peers: Mapping[str, Steps], rounds: int, warm_up: int, step: Callable[[], Any]) -> dict[str, list[float]]:
    """Let every peer train once in each round, and once before that is not counted.

    Args:
        peers: by name, what trains and returns the moments at which its steps began.
        rounds: how often. The order moves on by one each round.
        warm_up: first steps of a training that are not counted.
        step: called after each turn.

    Returns:
        Mean seconds of a step in each round, by name.
    """
    names = list(peers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-1, rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = peers[name]()
            if number >= 0:
                seconds[name].append((begun[-1] - begun[warm_up]) / (len(begun) - 1 - warm_up))
            step()
    return seconds


def one_layer_peers(data: DigitsDataModule, steps: int) -> dict[str, Steps]:
    """Return the four frames around a step of a one-layer network."""
    return {
        PLAIN: lambda: plain_steps(make_network(ONE_LAYER), data.train_dataloader(), steps, "32-true"),
        BARE: lambda: bare_steps(make_network(ONE_LAYER), data, steps),
        OWN: lambda: own_steps(ONE_LAYER, data, steps, "32-true"),
        STOCK: lambda: stock_steps(make_network(ONE_LAYER), data, steps),
    }


def reference_peers(
    data: DigitsDataModule, augmented: DigitsDataModule, steps: int, precision: str
) -> dict[str, Steps]:
    """Return the reference network's step on batches that lie in memory, and as `fit` does it."""
    batches = [batch for _, batch in zip(range(steps), data.train_dataloader(), strict=False)]
    return {
        PLAIN: lambda: plain_steps(make_network(REFERENCE), batches, steps, precision),
        OWN: lambda: own_steps(REFERENCE, data, steps, precision),
        AUGMENTED: lambda: own_steps(REFERENCE, augmented, steps, precision),
    }


def added(seconds: dict[str, list[float]], name: str) -> list[float]:
    """Return what a frame adds to the plain step, seconds, round by round."""
    return [own - plain for own, plain in zip(seconds[name], seconds[PLAIN], strict=True)]


def ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return first / second, round by round."""
    return [a / b for a, b in zip(first, second, strict=True)]


def one_layer_data(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the one-layer results as plain data: ms a step, ms added, and the ratio to what bare Lightning adds."""
    result: dict[str, Any] = {}
    for name, own in seconds.items():
        result[name] = {"ms": scaled(spread(own), 1e3).plain(5), "values_ms": [round(1e3 * v, 5) for v in own]}
        if name != PLAIN:
            extra = added(seconds, name)
            result[name]["added_ms"] = scaled(spread(extra), 1e3).plain(5)
            result[name]["to_barebones"] = spread(ratios(extra, added(seconds, BARE))).plain(4)
    return result


def reference_data(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the reference network's results as plain data: ms a step, and the ratio to the bare step."""
    return {
        name: {
            "ms": scaled(spread(own), 1e3).plain(4),
            "to_plain": spread(ratios(own, seconds[PLAIN])).plain(4),
            "values_ms": [round(1e3 * v, 4) for v in own],
        }
        for name, own in seconds.items()
    }


def tables(data: dict[str, Any]) -> str:
    """Return both tables; `data` is the content of the JSON file."""
    rows = [("one layer", "ms a step", "added, ms", "times barebones")]
    for name, one in data["one_layer"].items():
        more = [Spread(**one[key]).text(3) if key in one else "" for key in ("added_ms", "to_barebones")]
        rows.append((name, Spread(**one["ms"]).text(3), *more))
    own = [(f"reference, {data['precision']}", "ms a step", "times plain")]
    for name, one in data["reference"].items():
        own.append((name, Spread(**one["ms"]).text(2), Spread(**one["to_plain"]).text(3)))
    return f"{aligned(rows)}\n\n{aligned(own)}\nmedian (first to third quartile) over {data['rounds']} rounds"


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench overhead", "Time a training step in a plain loop and in Lightning, in turn.")
    parser.add_argument("--rounds", type=whole("--rounds"), default=9, metavar="N", help="turns of each peer (9)")
    parser.add_argument(
        "--steps", type=whole("--steps", 120), default=STEPS, metavar="N", help=f"of the one layer, a turn ({STEPS})"
    )
    parser.add_argument(
        "--reference-steps",
        type=whole("--reference-steps", 8),
        default=REFERENCE_STEPS,
        metavar="N",
        help=f"of the reference network, a turn ({REFERENCE_STEPS})",
    )
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), help="of the reference network (as in fit)")
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure here")
    options = parser.parse_args(args)
    silence_libraries()
    precision = options.precision or default_precision("cpu")
    modules = []
    for augment in (Augmentation(), AUGMENT):
        modules.append(DigitsDataModule(augment=augment, batch_size=BATCH, val_size=0, test_curves=False))
        modules[-1].setup("fit")
    where = surroundings()
    print(machine_line(where), flush=True)  # noqa: T201
    with tqdm(total=7 * (options.rounds + 1), desc="overhead", unit=" turns", disable=None) as bar:
        layer = in_turn(one_layer_peers(modules[0], options.steps), options.rounds, WARM_UP, bar.update)
        peers = reference_peers(modules[0], modules[1], options.reference_steps, precision)
        reference = in_turn(peers, options.rounds, REFERENCE_WARM_UP, bar.update)
    data = {
        "schema": SCHEMA,
        "benchmark": "overhead",
        "batch_size": BATCH,
        "rounds": options.rounds,
        "steps": options.steps - 1 - WARM_UP,
        "reference_steps": options.reference_steps - 1 - REFERENCE_WARM_UP,
        "precision": precision,
        "one_layer": one_layer_data(layer),
        "reference": reference_data(reference),
        "environment": {**where, "num_interop_threads": torch.get_num_interop_threads()},
    }
    print(tables(data))  # noqa: T201
    write_output(options.output, data)
    return 0
