"""`python -m mnist_lit filters`: every OpenCV filter with its parameters; sheets of filters, a chain, corruptions."""

from collections.abc import Sequence
from pathlib import Path

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.corruptions import CORRUPTIONS, corrupt
from mnist_lit.data.filters import FILTERS, FilterChain, filter_name, filter_parameters, filter_summary
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.errors import UsageError
from mnist_lit.run.figures import filters_figure, save_figure
from mnist_lit.run.run_figures import one_of_each_class


def listing() -> str:
    """Return the text that describes every filter."""
    lines = [
        "A chain is filters joined by |, such as: gaussian(kernel_size=5, sigma=1.0) | median(kernel_size=3)",
        "Parameters that are left out have the values shown; `none` is the empty chain.",
    ]
    for kind in FILTERS:
        lines += ["", f"{filter_name(kind)}: {filter_summary(kind)}"]
        for one in filter_parameters(kind):
            lines.append(f"  {one.name}: {one.type} = {one.default}    {one.description}; {one.allowed}")
    return "\n".join(lines)


def sheet_chains() -> list[FilterChain]:
    """Return one chain for each filter, with its own values for the parameters."""
    return [FilterChain([kind()]) for kind in FILTERS]


def run(args: Sequence[str]) -> int:
    """Print the listing and draw the sheet, or only the chain that is asked for."""
    parser = ArgumentParser("filters", "List the OpenCV filters with their parameters and draw one sheet of pictures.")
    parser.add_argument("--chain", help="draw this chain, step by step, instead of every filter")
    parser.add_argument(
        "--corruptions", action="store_true", help="draw the 15 corruptions of MNIST-C instead, filtered by the chain"
    )
    parser.add_argument("--output", type=Path, help="where the sheet goes (filters.png or corruptions.png)")
    options = parser.parse_args(args)
    output = options.output or Path("corruptions.png" if options.corruptions else "filters.png")
    train = read_set(BUNDLED, "train", known_as="mnist")
    digits = one_of_each_class(train.images, train.labels)
    try:
        chain = FilterChain.parse(options.chain or "none")
    except ValueError as error:
        raise UsageError(f"--chain: {error}") from error
    if options.corruptions:
        title = "The 15 corruptions of MNIST-C, one digit of each class"
        title += f", after {chain}" if len(chain) else ""
        stages = [(name, chain(corrupt(digits, name, seed=0))) for name in CORRUPTIONS]
        first = "clean" if len(chain) else "raw image"
        stages.insert(0, (first, chain(digits)))
    elif options.chain is None:
        print(listing())  # noqa: T201
        title = "Every filter, one digit of each class"
        stages = [("raw image", digits), *((str(one), one(digits)) for one in sheet_chains())]
    else:
        title = "The chain, step by step"
        stages = [("raw image", digits), *chain.stages(digits)]
    save_figure(filters_figure(stages, title=title), output)
    print(f"wrote {output}")  # noqa: T201
    return 0
