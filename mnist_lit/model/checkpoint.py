"""Load checkpoints: they hold plain data only, and carry the preprocessing contract that their network needs.

A checkpoint of this project is a Lightning checkpoint with one more entry, `mnist_lit`: the network's name, the
contract (filter chain, normalisation, polarity) and the config of the run. It is read with `weights_only=True`: no
pickled object, no class path and no URL is ever followed.
"""

import re
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.contract import Contract as Contract
from mnist_lit.model.networks import build_network

KEY = "mnist_lit"
FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A trained network with what it needs to be used.

    Attributes:
        network: plain module in evaluation mode, normalised images `(N, 1, 28, 28)` to logits `(N, 10)`.
        name: its name, see `mnist_lit.model.networks`.
        contract: the preprocessing it was trained with.
    """

    network: nn.Module
    name: str
    contract: Contract


def load_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of this project.

    Raises:
        UsageError: the file is missing, is a URL, or is not a checkpoint of this project.
        Failure: the file is damaged, or holds something other than plain data.
    """
    if re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]+:/", str(path)):
        raise UsageError(f"{path}: a checkpoint is read from a file, never from a URL (download it yourself)")
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on odd pickles; what matters is refused below
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged file makes torch and zipfile raise almost anything
        if found := re.search(r"Unsupported (?:global|class)[^\n.]*", str(error)):
            raise Failure(f"{path}: refused: holds objects other than plain data ({found.group(0)})") from error
        raise Failure(f"checkpoint corrupt: {path}") from error
    if not isinstance(checkpoint, dict):
        raise UsageError(f"{path}: not a checkpoint of mnist_lit (it holds a {type(checkpoint).__name__})")
    return checkpoint


def passport(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the checkpoint's own entry: `network`, `contract`, and `config` where the command line made it.

    Raises:
        UsageError: the checkpoint is not one of this project, or of a newer version of it.
    """
    entry = checkpoint.get(KEY)
    if not isinstance(entry, dict) or "network" not in entry or "contract" not in entry:
        raise UsageError(f"{path}: not a checkpoint of mnist_lit (no preprocessing contract in it)")
    if entry.get("format") != FORMAT:
        raise UsageError(f"{path}: format {entry.get('format')} found, {FORMAT} expected (made by another version)")
    return entry


def read_contract(entry: dict[str, Any], path: Path) -> Contract:
    """Return the contract in a checkpoint's own entry.

    Raises:
        UsageError: it is incomplete, or names a filter that this version does not have.
    """
    try:
        return Contract(**entry["contract"])
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: its preprocessing contract cannot be used: {error}") from error


def contract_entry(network: str, contract: Contract) -> dict[str, Any]:
    """Return what a checkpoint is to carry under the key `mnist_lit`, as plain data."""
    return {"format": FORMAT, "network": network, "contract": asdict(contract)}


def load_model(path: Path) -> Model:
    """Load a trained network for use.

    Raises:
        UsageError: see `load_checkpoint` and `model_in`.
        Failure: see `load_checkpoint`.
    """
    return model_in(load_checkpoint(path), path)


def model_in(checkpoint: dict[str, Any], path: Path) -> Model:
    """Return the trained network that a checkpoint holds.

    Raises:
        UsageError: see `passport` and `build_model`; or it holds no weights.
    """
    entry = passport(checkpoint, path)
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict):
        raise UsageError(f"{path}: not a checkpoint of mnist_lit (no state_dict in it)")
    prefix = "network."
    weights = {key.removeprefix(prefix): value for key, value in state.items() if str(key).startswith(prefix)}
    return build_model(entry, weights, path)


def build_model(entry: dict[str, Any], weights: dict[str, Any], path: Path) -> Model:
    """Make the network that an entry names and give it its weights.

    Args:
        entry: plain data with `network` and `contract`.
        weights: the network's state dict.
        path: the file that both are from, for messages.

    Raises:
        UsageError: the contract cannot be used, there is no such network, or the weights do not fit it.
    """
    contract = read_contract(entry, path)
    try:
        network = build_network(entry["network"])
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    try:
        network.load_state_dict(weights, strict=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise UsageError(f"{path}: its weights do not fit the network {entry['network']!r} that it names") from error
    return Model(network.eval(), entry["network"], contract)
