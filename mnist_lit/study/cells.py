"""The cells of a filter study: one training of one chain with one seed, scored on every set and kept as a file.

A cell's file is named by chain, seed and a digest of all that its numbers depend on: a stopped study goes on with the
cells that are missing, and cells of different configs do not mix.
"""

import hashlib
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning import Trainer, seed_everything

from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.batches import Batch
from mnist_lit.data.corrupted import definition_digest, load_corrupted
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain, Images
from mnist_lit.data.preparation import apply_chain
from mnist_lit.data.sources import load_part
from mnist_lit.errors import Failure
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.run.results import write_json
from mnist_lit.study.config import CLEAN, VALIDATION, StudyConfig

_BATCH = 200  # images scored at once: what fits a cache is faster than more
_NOT_OF_A_CELL = ("chains", "seeds", "baseline", "root", "output")


class FilteredSets:
    """The test images, clean and corrupted, after each chain: made once and kept on disk while the study runs.

    A camera's corruption comes before any filter, so the raw images are corrupted and the result is filtered.

    Args:
        config: says which corruptions.
        raw: uint8 `(N, 28, 28)`, the test images.
    """

    def __init__(self, config: StudyConfig, raw: Images) -> None:
        self._config = config
        self._raw = raw
        self.folder = config.output / "images"

    def __call__(self, chain: FilterChain) -> npt.NDArray[np.uint8]:
        """Return uint8 `(1 + corruptions, N, 28, 28)` for a chain, read from the disk as it is needed."""
        config = self._config
        content = hashlib.sha256(self._raw.tobytes()).hexdigest()
        key = [str(chain), content, definition_digest(), config.corruption_seed, config.corruptions]
        path = self.folder / f"{_digest(key)}.npy"
        if not path.is_file():
            sets = [self._raw, *(load_corrupted(self._raw, c, seed=config.corruption_seed) for c in config.corruptions)]
            images = np.concatenate(sets)
            filtered = apply_chain(chain.for_evaluation(), images, label="test images")
            filtered = filtered.reshape(len(sets), *self._raw.shape)
            write_atomically(path, lambda file: np.save(file, filtered, allow_pickle=False))
        loaded: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
        return loaded


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


@torch.inference_mode()
def count_correct(
    model: DigitClassifier, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], *, bf16: bool
) -> int:
    """Return how many of the images `(N, 28, 28)`, already filtered, a model reads rightly, on the model's device."""
    right = 0
    with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        for start in range(0, len(labels), _BATCH):
            batch = torch.from_numpy(np.array(images[start : start + _BATCH]))[:, None].to(model.device)
            answers = model(batch).argmax(dim=1).cpu().numpy()
            right += int((answers == labels[start : start + _BATCH]).sum())
    return right


class Study:
    """A study that is on its way: which cells there are, and how one is made.

    Args:
        config: what it consists of.
    """

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self._test = load_part(config.dataset, config.root, "t10k")
        train = load_part(config.dataset, config.root, "train")
        self.data_sha256 = {"train": train.sha256, "test": self._test.sha256}
        self._sets = FilteredSets(config, self._test.images)
        self._modules: dict[str, DigitsDataModule] = {}  # filtered training images: 47 MB a chain
        # By seed first, so that a study that is stopped early leaves every chain with as many trainings.
        self.cells = [(name, seed) for seed in range(config.seeds) for name in config.chains]

    def key(self, name: str, seed: int) -> dict[str, Any]:
        """Return everything that the numbers of a cell depend on, as plain data."""
        settings = {key: value for key, value in self.config.plain().items() if key not in _NOT_OF_A_CELL}
        chain = self.config.chains[name]
        return {
            "chain": chain,
            "seed": seed,
            **settings,
            "data": self.data_sha256,
            "corruption_code": definition_digest(),
        }

    def path(self, name: str, seed: int) -> Path:
        """Return the file of a cell: named by chain, seed and a digest of its key, so that configs do not mix."""
        safe = re.sub(r"[^A-Za-z0-9+.-]+", "_", name)
        return self.config.output / "cells" / f"{safe}-seed{seed}-{_digest(self.key(name, seed))}.json"

    def read(self, name: str, seed: int) -> dict[str, Any] | None:
        """Return a cell that was made before, or None.

        Raises:
            Failure: its file is not a whole cell of this study.
        """
        path = self.path(name, seed)
        try:
            cell = json.loads(path.read_text(encoding="utf-8"))
            if cell["key"] != self.key(name, seed) or list(cell["accuracy"]) != self.config.sets:
                raise ValueError("it belongs to another study")
            accuracy = {key: float(value) for key, value in cell["accuracy"].items()}
            return {"accuracy": accuracy, "device": str(cell["device"]), "seconds": dict(cell["seconds"])}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{path}: not a sound cell: {error} (delete it and it will be made again)") from error

    def make(self, name: str, seed: int) -> dict[str, Any]:
        """Train and score one cell, and save it."""
        config, started = self.config, time.perf_counter()
        chain = FilterChain.parse(config.chains[name])
        images = self._sets(chain)
        data = self._module(name, chain)
        prepared = time.perf_counter()
        seed_everything(seed, workers=True, verbose=False)
        data.seed = seed
        model = config.classifier()
        trainer = self._trainer()
        try:
            trainer.fit(model, datamodule=data)
        except SystemExit as left:  # Lightning's way out of a KeyboardInterrupt
            raise KeyboardInterrupt from left
        trained = time.perf_counter()
        model.to(trainer.strategy.root_device).eval()
        bf16 = config.precision == "bf16-mixed"
        accuracy = {}
        if config.val_size:
            batches = [Batch(*(part.cpu() for part in batch)) for batch in data.val_dataloader()[0]]
            right = sum(count_correct(model, b.images[:, 0].numpy(), b.targets.numpy(), bf16=bf16) for b in batches)
            accuracy[VALIDATION] = right / sum(len(b.targets) for b in batches)
        for part, stack in zip([CLEAN, *config.corruptions], images, strict=True):
            accuracy[part] = count_correct(model, stack, self._test.labels, bf16=bf16) / len(self._test.labels)
        seconds = {
            "filter": round(prepared - started, 2),
            "train": round(trained - prepared, 2),
            "score": round(time.perf_counter() - trained, 2),
        }
        device = trainer.strategy.root_device.type
        cell = {
            "name": name,
            "key": self.key(name, seed),
            "accuracy": accuracy,
            "device": device,
            "seconds": seconds,
        }
        write_json(self.path(name, seed), cell)
        return cell

    def _module(self, name: str, chain: FilterChain) -> DigitsDataModule:
        config = self.config
        if name not in self._modules:
            self._modules[name] = DigitsDataModule(
                dataset=config.dataset,
                root=config.root,
                filters=chain,
                batch_size=config.batch_size,
                eval_batch_size=_BATCH,
                val_size=config.val_size,
                split_seed=config.split_seed,
                test_curves=False,
            )
            self._modules[name].setup("fit")
        return self._modules[name]

    def _trainer(self) -> Trainer:
        return Trainer(
            accelerator=self.config.accelerator,
            devices=1,
            precision=self.config.precision,
            max_epochs=self.config.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            log_every_n_steps=1_000_000,  # every log call costs time, and nobody looks
        )

    def clean_up(self) -> None:
        """Delete the filtered test images."""
        shutil.rmtree(self._sets.folder, ignore_errors=True)
