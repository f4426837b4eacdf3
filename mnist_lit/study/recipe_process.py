"""One training of a published recipe in a process of its own: `python -m mnist_lit.study.recipe_process …`.

Prints a line of JSON: what the recipe returns, and the number of threads.
"""

import argparse
import json
from pathlib import Path

import torch

from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.study import recipes


def main() -> None:
    """Train as the words say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", choices=("published", "example"))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--root", type=Path, default=BUNDLED)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    train, test = read_set(options.root, "train"), read_set(options.root, "t10k")
    if options.recipe == "published":
        result = recipes.published(train, test, options.seed, options.device)
    else:
        result = recipes.example(train, test, options.seed, options.target, device=options.device)
    print(json.dumps({**result, "threads": torch.get_num_threads()}))  # noqa: T201


if __name__ == "__main__":
    main()
