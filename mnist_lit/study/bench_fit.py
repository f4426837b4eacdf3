"""`python -m mnist_lit bench fit`: the time to 99 % on the test images, for our fast config and two published recipes.

Every training is a process of its own; the peers take turns. A training that is done is kept as a file, so that a
stopped benchmark goes on where it was. Times are of the training (ours: the whole of `trainer.fit`, with reading and
filtering the data, loggers, checkpoints, validation and bar; the recipes: their training loops alone) and, beside
them, from the start of the process to its end.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.errors import Failure, UsageError
from mnist_lit.run.folder import RESULTS
from mnist_lit.run.results import write_json
from mnist_lit.study.bench_output import aligned, machine_line, whole
from mnist_lit.study.child import run_child
from mnist_lit.study.measuring import Spread, spread, surroundings
from mnist_lit.study.statistics import estimate

SCHEMA = 1
FAST, PUBLISHED, EXAMPLE = "fast", "published", "example"
TARGET = 0.99
NAMES = {
    FAST: "this project",
    PUBLISHED: "215,194 parameters, plain loop",
    EXAMPLE: "PyTorch's examples/mnist",
}


class Trainings:
    """The trainings of a benchmark: which there are, and how one is made or found again.

    Args:
        config: our config.
        root: folder of the four IDX files; None for the bundle.
        work: where finished trainings are kept.
        where: the machine, see `surroundings`.
        device: of the recipes, `cpu` or `cuda`; ours is in its config.
    """

    def __init__(self, config: Path, root: Path | None, work: Path, where: dict[str, Any], device: str = "cpu") -> None:
        self.config = config
        self.root = root
        self.work = work
        self.where = where
        self.device = device

    def key(self, peer: str, seed: int) -> dict[str, Any]:
        """Return what the numbers of a training depend on, as plain data."""
        machine = {name: self.where[name] for name in ("processor", "cores", "threads", "torch", "lightning", "python")}
        key = {"peer": peer, "seed": seed, "root": str(self.root), "target": TARGET, **machine}
        if self.device != "cpu":
            key["device"] = self.device
        if peer == FAST:
            text = self.config.read_bytes()
            key |= {"config": hashlib.sha256(text).hexdigest(), "git_commit": self.where["git_commit"]}
        return key

    def path(self, peer: str, seed: int) -> Path:
        """Return the file of a training: named by peer, seed and a digest of its key."""
        digest = hashlib.sha256(json.dumps(self.key(peer, seed), sort_keys=True).encode()).hexdigest()[:12]
        return self.work / f"{peer}-seed{seed}-{digest}.json"

    def read(self, peer: str, seed: int) -> dict[str, Any] | None:
        """Return a training that was made before, or None.

        Raises:
            Failure: its file is damaged.
        """
        path = self.path(peer, seed)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for name in ("accuracy", "train_seconds", "total_seconds"):
                float(found[name])
            return found
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"{path}: not a sound training: {error} (delete it and it will be made again)") from error

    def make(self, peer: str, seed: int) -> dict[str, Any]:
        """Train, and keep the numbers."""
        made = self._fit(seed) if peer == FAST else self._recipe(peer, seed)
        write_json(self.path(peer, seed), {"key": self.key(peer, seed), **made})
        return made

    def _fit(self, seed: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            words = ["-m", "mnist_lit", "fit", "--config", str(self.config), "--seed_everything", str(seed)]
            words += ["--log_dir", folder]
            if self.root is not None:
                words += ["--data.dataset", "idx", "--data.root", str(self.root)]
            ended = run_child(f"{self.config}, seed {seed}", words, terminal=True)
            results = json.loads(next(Path(folder).glob(f"*/version_0/{RESULTS}")).read_text(encoding="utf-8"))
        return {
            "accuracy": results["test"]["acc"],
            "train_seconds": results["fit_seconds"],
            "total_seconds": ended.seconds,
            "network": results["network"],
            "parameters": results["parameters"],
            "epochs": results["epochs"],
            "precision": results["environment"]["precision"],
        }

    def _recipe(self, peer: str, seed: int) -> dict[str, Any]:
        words = ["-m", "mnist_lit.study.recipe_process", peer, "--seed", str(seed), "--target", str(TARGET)]
        words += ["--device", self.device]
        if self.root is not None:
            words += ["--root", str(self.root)]
        ended = run_child(f"{peer}, seed {seed}", words)
        result: dict[str, Any] = json.loads(ended.output.strip().splitlines()[-1])
        return {**result, "total_seconds": ended.seconds}


def order(n: int, examples: int) -> list[tuple[str, int]]:
    """Return the trainings in turn: each round with the peers that still take part, its order moving on by one."""
    turns = []
    for seed in range(max(n, examples)):
        peers = [*([FAST, PUBLISHED] if seed < n else []), *([EXAMPLE] if seed < examples else [])]
        turns += [(peer, seed) for peer in peers[seed % len(peers) :] + peers[: seed % len(peers)]]
    return turns


def summary(done: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    """Return the results as plain data: accuracies are fractions, times are seconds.

    Args:
        done: every training by peer and seed.
    """
    peers: dict[str, Any] = {}
    for peer in (FAST, PUBLISHED, EXAMPLE):
        runs = [run for (name, _), run in sorted(done.items()) if name == peer]
        if not runs:
            continue
        accuracy = [run["accuracy"] for run in runs]
        mean = estimate(accuracy)
        peers[peer] = {
            "n": len(runs),
            "accuracy": accuracy,
            "mean_accuracy": mean.mean,
            "sd_accuracy": mean.sd,
            "train_seconds": _times([run["train_seconds"] for run in runs]),
            "total_seconds": _times([run["total_seconds"] for run in runs]),
            "runs": [{k: v for k, v in run.items() if k not in ("key", "accuracy")} for run in runs],
        }
    result: dict[str, Any] = {"peers": peers}
    fast = peers[FAST]["train_seconds"]
    paired = [a / b for a, b in zip(fast["values"], peers[PUBLISHED]["train_seconds"]["values"], strict=False)]
    result["to_published"] = spread(paired).plain(4)
    if EXAMPLE in peers:
        result["sooner_than_example"] = round(peers[EXAMPLE]["train_seconds"]["median"] / fast["median"], 2)
    return result


def _times(values: Sequence[float]) -> dict[str, Any]:
    return {**spread(values).plain(4), "values": [round(value, 4) for value in values]}


def table(data: dict[str, Any]) -> str:
    """Return what is printed; `data` is the content of the JSON file."""
    head = ("peer", "n", "test accuracy, %", "lowest", "highest", "training, s", "start to end, s")
    rows: list[tuple[str, ...]] = [head]
    lines = []
    for peer, one in data["peers"].items():
        sd = "" if one["sd_accuracy"] is None else f" ± {100 * one['sd_accuracy']:.3f}"
        values = [100 * value for value in one["accuracy"]]
        times = [Spread(**{k: one[key][k] for k in ("n", "median", "low", "high")}).text() for key in _TIMES]
        mean = f"{100 * one['mean_accuracy']:.3f}{sd}"
        rows.append((NAMES[peer], str(one["n"]), mean, f"{min(values):.2f}", f"{max(values):.2f}", *times))
        lines.append(f"{NAMES[peer]}: {' '.join(f'{value:.2f}' for value in values)}")
    lines.append(f"times the published recipe's training: {Spread(**data['to_published']).text(3)}")
    if "sooner_than_example" in data:
        lines.append(f"times sooner than PyTorch's example: {data['sooner_than_example']:.1f}")
    lines.append("times: median (first to third quartile)")
    return "\n".join([aligned(rows), *lines])


_TIMES = ("train_seconds", "total_seconds")


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench fit", "Time trainings to 99 % on the test images, in turn with published recipes.")
    parser.add_argument(
        "--config", type=Path, default=Path("configs/fast.yaml"), metavar="FILE", help="ours (configs/fast.yaml)"
    )
    parser.add_argument("--n", type=whole("--n"), default=30, metavar="N", help="seeds of ours and the published (30)")
    parser.add_argument(
        "--examples", type=whole("--examples", 0), default=3, metavar="N", help="seeds of PyTorch's example (3)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the two recipes (cpu)")
    parser.add_argument("--root", type=Path, metavar="DIR", help="four IDX files to train on (the bundled MNIST)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("lightning_logs/bench_fit"),
        metavar="DIR",
        help="where finished trainings are kept (lightning_logs/bench_fit)",
    )
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure here")
    options = parser.parse_args(args)
    if not options.config.is_file():
        raise UsageError(f"--config: {options.config}: no such file")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device: cuda is not allowed here; this machine has no CUDA device (cpu is)")
    where = surroundings()
    trainings = Trainings(options.config, options.root, options.work, where, options.device)
    turns = order(options.n, options.examples)
    done = {turn: found for turn in turns if (found := trainings.read(*turn)) is not None}
    print(machine_line(where), flush=True)  # noqa: T201
    print(f"trainings  {len(turns)}, {len(done)} done, kept in {options.work}", flush=True)  # noqa: T201
    with tqdm(total=len(turns), initial=len(done), desc="fit", unit=" trainings", disable=None) as bar:
        for turn in turns:
            if turn not in done:
                bar.set_postfix_str(f"{turn[0]}, seed {turn[1]}")
                done[turn] = trainings.make(*turn)
                bar.update()
    about = {"schema": SCHEMA, "benchmark": "fit", "target": TARGET, "config": str(options.config)}
    data = {**about, **summary(done), "environment": where}
    print(table(data))  # noqa: T201
    if options.output is not None:
        write_json(options.output, data)
        print(f"wrote      {options.output}")  # noqa: T201
    return 0
