"""`python -m mnist_lit bench filters`: images a second of every OpenCV filter, each with its default parameters."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.filters import FILTERS, FilterChain, Images, filter_name
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.study.bench_output import aligned, machine_line, whole, write_output
from mnist_lit.study.measuring import Spread, seconds_in_turn, spread, surroundings

SCHEMA = 1
IMAGES = 2_000
COMPARED_WITH = "gaussian"


def measure(images: Images, rounds: int, step: Callable[[], Any]) -> dict[str, Any]:
    """Return images a second of every filter as plain data, and how many times the Gaussian's rate that is.

    Args:
        images: uint8 `(N, 28, 28)`.
        rounds: how often each filter has its turn.
        step: called after each turn.
    """
    chains = {filter_name(kind): FilterChain([kind()]) for kind in FILTERS}

    def turn(chain: FilterChain) -> Callable[[], None]:
        def apply() -> None:
            chain(images)
            step()

        return apply

    times = seconds_in_turn({name: turn(chain) for name, chain in chains.items()}, rounds)
    rates = {name: [len(images) / seconds for seconds in own] for name, own in times.items()}
    return {
        name: {
            "chain": str(chains[name]),
            "images_per_second": spread(own).plain(1),
            "to_gaussian": spread([a / b for a, b in zip(own, rates[COMPARED_WITH], strict=True)]).plain(4),
        }
        for name, own in rates.items()
    }


def table(data: dict[str, Any]) -> str:
    """Return what is printed; `data` is the content of the JSON file."""
    rows = [("filter", "images a second", f"times {COMPARED_WITH}")]
    for one in data["filters"].values():
        rate = one["images_per_second"]
        shown = f"{rate['median']:,.0f} ({rate['low']:,.0f}–{rate['high']:,.0f})"
        rows.append((one["chain"], shown, Spread(**one["to_gaussian"]).text()))
    return f"{aligned(rows)}\nmedian (first to third quartile) over {data['rounds']} rounds"


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench filters", "Count the images a second that go through each filter.")
    parser.add_argument("--rounds", type=whole("--rounds"), default=7, metavar="N", help="turns of each (7)")
    parser.add_argument("--images", type=whole("--images"), default=IMAGES, help=f"in a turn ({IMAGES})")
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure here")
    options = parser.parse_args(args)
    where = surroundings()
    print(machine_line(where), flush=True)  # noqa: T201
    images = read_set(BUNDLED, "train", known_as="mnist").images[: options.images]
    with tqdm(total=len(FILTERS) * (options.rounds + 1), desc="filters", unit=" turns", disable=None) as bar:
        filters = measure(images, options.rounds, bar.update)
    data = {
        "schema": SCHEMA, "benchmark": "filters", "images": len(images), "rounds": options.rounds, "filters": filters,
        "environment": where,
    }  # fmt: skip
    print(table(data))  # noqa: T201
    write_output(options.output, data)
    return 0
