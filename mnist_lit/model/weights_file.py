"""Weights files: a trained network as safetensors, and beside it a JSON file, its card, that says what it is.

The card (`digits.json` for `digits.safetensors`) names the network, the preprocessing contract, where the weights come
from and how they score; it holds the SHA-256 of the weights, so that the two cannot be mixed up. Nothing in either file
can run code.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch

from mnist_lit.data.atomic import free_bytes, write_atomically
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.checkpoint import Model, build_model

SUFFIX = ".safetensors"
FORMAT = 1
MAX_BYTES = 2**30  # far above every network of this project
MAX_CARD_BYTES = 2**20


def card_path(path: Path) -> Path:
    """Return where the card of a weights file is."""
    return path.with_suffix(".json")


def save_weights(path: Path, model: Model, origin: Mapping[str, Any]) -> None:
    """Write a network and its card; the same network gives the same bytes.

    Args:
        path: the weights file, `….safetensors`.
        model: what is saved.
        origin: plain data for the card: the training config, the seed, scores, hashes of the data, the commit.

    Raises:
        UsageError: `path` has another suffix.
        Failure: the disk refuses.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a weights file ends in {SUFFIX}")
    data = _weights(model)
    card = {
        "format": FORMAT,
        "network": model.name,
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "contract": asdict(model.contract),
        **origin,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(path, lambda file: file.write(data))
        write_atomically(card_path(path), lambda file: file.write(text.encode("utf-8")))
    except OSError as error:
        raise Failure(
            f"{path}: cannot be saved: {error.strerror or error} ({free_bytes(path):,} bytes free)"
        ) from error


def weights_sha256(model: Model) -> str:
    """Return the SHA-256 of the weights file that `save_weights` would write: a name for exactly these weights."""
    return hashlib.sha256(_weights(model)).hexdigest()


def _weights(model: Model) -> bytes:
    state = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
    return safetensors.torch.save(state)


def read_card(path: Path) -> dict[str, Any]:
    """Read the card of a weights file.

    Args:
        path: the weights file.

    Raises:
        UsageError: the card is missing, is not one of this project, or is of another version of it.
        Failure: it is damaged.
    """
    where = card_path(path)
    if not where.is_file():
        raise UsageError(f"{path}: {where.name} is missing beside it (it holds the preprocessing contract)")
    try:
        with where.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise Failure(f"{where}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_CARD_BYTES:
        raise Failure(f"{where}: more than {MAX_CARD_BYTES:,} bytes (not the card of a weights file)")
    try:
        card = json.loads(data.decode("utf-8"), parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{where}: damaged: not JSON (copy it again)") from error
    if not isinstance(card, dict) or not {"network", "contract", "sha256"} <= card.keys():
        raise UsageError(f"{where}: not the card of a weights file (network, contract and sha256 are expected in it)")
    if card.get("format") != FORMAT:
        raise UsageError(f"{where}: format {card.get('format')} found, {FORMAT} expected (made by another version)")
    return card


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def load_weights(path: Path) -> Model:
    """Load a trained network for use.

    Raises:
        UsageError: a file is missing, is a URL, or the weights do not fit the network that the card names.
        Failure: a file is damaged, or the two do not belong together.
    """
    if re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]+:/", str(path)):
        raise UsageError(f"{path}: weights are read from a file, never from a URL (download it yourself)")
    if not path.is_file():
        raise UsageError(f"{path}: no such weights file")
    card = read_card(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        weights = safetensors.torch.load(data)
    except Exception as error:  # a damaged file makes the library raise its own errors, KeyError, ValueError and others
        raise Failure(f"weights corrupt: {path}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != card["sha256"]:
        raise Failure(
            f"{path}: not the weights that {card_path(path)} describes: "
            f"SHA-256 {card['sha256']} expected, {found} found (keep the two files together)"
        )
    model = build_model(card, weights, path)
    if not all(bool(torch.isfinite(value).all()) for value in model.network.state_dict().values()):
        raise Failure(f"{path}: holds weights that are not finite")
    return model
