"""Where a trained network comes from: a run folder, a checkpoint, a weights file, or the weights of the package."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_lit.errors import Failure, UsageError

if TYPE_CHECKING:  # starts torch
    from mnist_lit.model.checkpoint import Model

BUNDLED = Path(__file__).parent / "weights" / "digits.safetensors"
BUNDLED_GRAPH = BUNDLED.with_suffix(".onnx")  # the same network for ONNX Runtime, made by the same `export`
BUNDLED_NAME = "bundled weights"
CHECKPOINT, WEIGHTS, ONNX = ".ckpt", ".safetensors", ".onnx"
_SCORES = ("n", "errors", "acc", "loss", "ece")


@dataclass(frozen=True)
class ModelFile:
    """A trained network and what is known of it.

    Attributes:
        model: the network.
        source: the file, or "bundled weights".
        origin: plain data: `dataset`, `config`, `seed`, `scores`, `data_sha256`, `git_commit`, as far as known.
    """

    model: "Model"
    source: str
    origin: dict[str, Any]


def find_model(path: Path | None) -> Path:
    """Return the file that `--model` means.

    Args:
        path: a run folder (its best checkpoint, or the last where there is no best), a file, or None for the bundle.

    Raises:
        UsageError: it is missing, a URL, or of a kind that is not read.
    """
    if path is None:
        return BUNDLED
    if re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]+:/", str(path)):
        raise UsageError(f"{path}: a model is read from a file, never from a URL (download it yourself)")
    if path.is_dir():
        for name in ("best", "last"):
            candidate = path / "checkpoints" / f"{name}{CHECKPOINT}"
            if candidate.is_file():
                return candidate
        newest = max(path.glob(f"*/checkpoints/*{CHECKPOINT}"), key=lambda file: file.stat().st_mtime, default=None)
        hint = f" (the newest under it is {newest.parent.parent})" if newest else ""
        raise UsageError(f"{path}: not a run folder: no checkpoints/best{CHECKPOINT} in it{hint}")
    if not path.is_file():
        raise UsageError(f"{path}: no such model")
    if path.suffix not in (CHECKPOINT, WEIGHTS, ONNX):
        raise UsageError(f"{path}: not a model (a run folder, {CHECKPOINT}, {WEIGHTS} and {ONNX} are read)")
    return path


def load_model_file(path: Path | None) -> ModelFile:
    """Load a network for PyTorch.

    Args:
        path: see `find_model`.

    Raises:
        UsageError: see `find_model`; it is an ONNX file; or its weights do not fit the network it names.
        Failure: it is damaged.
    """
    from mnist_lit.model.checkpoint import load_checkpoint, model_in, passport
    from mnist_lit.model.weights_file import load_weights, read_card

    file = find_model(path)
    source = BUNDLED_NAME if path is None else str(file)
    if file.suffix == ONNX:
        raise UsageError(
            f"{file}: an ONNX file holds no weights for PyTorch (give the model that it was exported from)"
        )
    if file.suffix == WEIGHTS:
        own = ("format", "network", "parameters", "contract", "sha256")
        model = load_weights(file)
        return ModelFile(model, source, {key: value for key, value in read_card(file).items() if key not in own})
    checkpoint = load_checkpoint(file)
    model = model_in(checkpoint, file)
    return ModelFile(model, source, _origin(file, passport(checkpoint, file)))


def _origin(checkpoint: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint and the run folder around it tell of a training."""
    config = entry.get("config")
    config = config if isinstance(config, dict) else {}
    data = config.get("data")
    data = data if isinstance(data, dict) else {}
    origin: dict[str, Any] = {
        "dataset": data.get("dataset", "mnist"),
        "seed": config.get("seed_everything"),
        "config": {key: config[key] for key in ("keep", "data", "model", "trainer") if key in config},
        "scores": {},
        "data_sha256": {},
        "git_commit": None,
    }
    results = _results(checkpoint)
    if results:
        test = results.get("test") or {}
        origin["scores"] = {
            "val": {"acc": results.get("best_val_acc")},
            "test": {key: test[key] for key in _SCORES if key in test},
        }
        origin["data_sha256"] = results.get("data", {}).get("sha256", {})
        origin["git_commit"] = results.get("environment", {}).get("git_commit")
    return origin


def _results(checkpoint: Path) -> dict[str, Any]:
    """The results of the run that a best checkpoint belongs to; they are not those of any other checkpoint."""
    path = checkpoint.absolute().parent.parent / "results.json"
    if checkpoint.stem != "best" or checkpoint.absolute().parent.name != "checkpoints" or not path.is_file():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise Failure(f"{path}: cannot be read: {error}") from error
    if not isinstance(results, dict):
        raise Failure(f"{path}: not the results of a run")
    return results
