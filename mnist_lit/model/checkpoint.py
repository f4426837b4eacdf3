"""Save and load: checkpoints that are whole or absent, hold plain data only, and carry the preprocessing contract.

A checkpoint of this project is a Lightning checkpoint with one more entry, `mnist_lit`: the network's name, the
contract (filter chain, normalisation, polarity) and the config of the run. It is read with `weights_only=True`: no
pickled object, no class path and no URL is ever followed.
"""

import math
import os
import re
import tempfile
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from torch import nn

from mnist_lit.data.filters import FilterChain
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.networks import build_network

KEY = "mnist_lit"
FORMAT = 1


@dataclass(frozen=True)
class Contract:
    """What happens to an image before the network sees it; it belongs to the weights.

    Attributes:
        filters: canonical text of the filter chain, `none` for no filter.
        mean: mean of the training pixels after the filters, in [0, 1].
        std: their standard deviation, above 0.
        polarity: what the network expects of ink and paper.
    """

    filters: str
    mean: float
    std: float
    polarity: str = "light on dark"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, field.type if isinstance(field.type, type) else object):
                raise ValueError(f"contract.{field.name}: {value!r} is not a {field.type}")
        FilterChain.parse(self.filters)
        if not (0.0 < self.std < math.inf):
            raise ValueError(f"contract.std: {self.std} is not allowed; it must be above 0 and finite")
        if not math.isfinite(self.mean):
            raise ValueError(f"contract.mean: {self.mean} is not allowed; it must be finite")


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


def write_atomically(path: Path, write: Any) -> None:
    """Write a file so that at any moment the path holds the old content or the new one, whole.

    Args:
        path: where the file is to be; its folder is made if needed.
        write: called with the open binary file; the file is flushed to the disk before it takes its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's checkpoint files, written in their own folder, flushed and moved into place; read as plain data.

    The stock version moves a file from the temporary folder, which on another file system is a copy that can be cut
    short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save a checkpoint.

        Raises:
            Failure: the disk refuses; the message says how much is free. An older checkpoint stays as it was.
        """
        path = Path(path)
        try:
            write_atomically(path, lambda file: torch.save(checkpoint, file))
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "write" not in str(error):
                raise
            raise Failure(f"{path}: cannot be saved: {error} ({free_bytes(path):,} bytes free)") from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint as plain data, whatever `weights_only` says. Raises: see `load_checkpoint`."""
        return load_checkpoint(Path(path), map_location=map_location or "cpu")

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint that is no longer wanted."""
        Path(path).unlink(missing_ok=True)


def free_bytes(path: Path) -> int:
    """Return how many bytes are free on the disk of the nearest existing folder above `path`."""
    import shutil

    folder = next(p for p in [path, *path.absolute().parents] if p.is_dir())
    return shutil.disk_usage(folder).free


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
        UsageError: see `load_checkpoint` and `passport`; or the weights do not fit the network they name.
        Failure: see `load_checkpoint`.
    """
    checkpoint = load_checkpoint(path)
    entry = passport(checkpoint, path)
    contract = read_contract(entry, path)
    try:
        network = build_network(entry["network"])
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict):
        raise UsageError(f"{path}: not a checkpoint of mnist_lit (no state_dict in it)")
    prefix = "network."
    weights = {key.removeprefix(prefix): value for key, value in state.items() if str(key).startswith(prefix)}
    try:
        network.load_state_dict(weights, strict=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise UsageError(f"{path}: its weights do not fit the network {entry['network']!r} that it names") from error
    return Model(network.eval(), entry["network"], contract)
