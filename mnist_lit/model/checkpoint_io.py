"""Lightning's checkpoint files by the rules of `mnist_lit.model.checkpoint`; apart, as Lightning is slow to load."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from mnist_lit.data.atomic import free_bytes, write_atomically
from mnist_lit.errors import Failure
from mnist_lit.model.checkpoint import load_checkpoint


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
