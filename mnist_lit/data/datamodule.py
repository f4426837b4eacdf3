"""Digits for training and testing: files in, filtered once, uint8 batches out.

A data set comes from `mnist_lit.data.sources`; its training part is split by a fixed seed of its own; the filter chain
runs over every image once, before training; the images are copied to the device once, and batches are cut out
(`mnist_lit.data.batches`) and augmented there.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning import LightningDataModule

from mnist_lit.data.augment import Augmentation, random_warp
from mnist_lit.data.batches import Batch, BatchLoader, BatchOrder, DigitDataset, PlainBatches
from mnist_lit.data.corrupted import load_corrupted, read_mnist_c
from mnist_lit.data.corruptions import check_name
from mnist_lit.data.digit_files import DigitFile, read_digit_files
from mnist_lit.data.filters import FilterChain
from mnist_lit.data.idx import BUNDLED, Images, Part, find_file
from mnist_lit.data.preparation import apply_chain, filter_batch, pixel_mean_std, stratified_split
from mnist_lit.data.sources import DatasetName, class_names, is_downloaded, load_part
from mnist_lit.data.training_corruptions import TrainingCorruptions
from mnist_lit.data.upstrokes import ONE, with_upstrokes
from mnist_lit.errors import UsageError


class DigitsDataModule(LightningDataModule):
    """MNIST or a sibling of it: read, split, filtered once, in batches.

    Args:
        dataset: which set; `mnist` is bundled, `idx` is any folder with the four IDX files, the others are read from
            such a folder or downloaded by torchvision.
        root: folder of the data; left out, the bundle (mnist) or `.cache/data` (downloads).
        filters: filter chain such as `gaussian(kernel_size=5, sigma=1.0) | median(kernel_size=3)`, or `none`. Left out:
            no filter in `fit`, the model's own chain in every other command.
        augment: random turns, shifts, stretches, slants and bends of the training images.
        training_corruptions: random noise, blur, occlusion and more on the training images, none of it among the 15
            that `corruption` names. The filters then run after it, on every batch anew, as they will in use.
        upstrokes: share of the ones in training that get an upstroke, as much of the world writes them and MNIST has
            hardly any; 0 to 1, for digits without filters.
        batch_size: training images per step and device.
        eval_batch_size: images per step and device in validation and test.
        val_size: how many training images are kept for validation; 0 trains on all of them, and then nothing can be
            chosen: the last epoch counts.
        split_seed: seed of the split into training and validation, of nothing else.
        images: image files, or folders of them, with one digit each: what `predict` reads.
        corruption: what `test` does to the test images before they are filtered: one of the 15 of MNIST-C, or `all` for
            each of them in turn and the clean images too.
        corruption_seed: seed of the corruption's random numbers.
        mnist_c: folder of the published MNIST-C files, to be read instead of corrupting the images here.
        test_curves: also score the test images after each epoch, as curves that nothing is chosen by.
        resident: keep the images as uint8 on the device that trains (MNIST: 55 MB of a GPU's memory) and cut batches
            out there; false moves each batch from the machine's memory.
        num_workers: worker processes for loading; 0 is fastest, since batches are cut out of memory. With workers the
            images stay in the machine's memory.
        seed: seed of the sample order and of the augmentation.
    """

    def __init__(
        self,
        dataset: DatasetName = "mnist",
        root: Path | None = None,
        filters: FilterChain | None = None,
        augment: Augmentation = Augmentation(),  # noqa: B008 - frozen
        training_corruptions: TrainingCorruptions = TrainingCorruptions(p=0.0),  # noqa: B008 - frozen
        upstrokes: float = 0.0,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 500,
        val_size: NonNegativeInt = 5_000,
        split_seed: NonNegativeInt = 0,
        images: Path | list[Path] | None = None,
        corruption: str | None = None,
        corruption_seed: NonNegativeInt = 0,
        mnist_c: Path | None = None,
        test_curves: bool = True,
        resident: bool = True,
        num_workers: NonNegativeInt = 0,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.root = root
        self.filters = filters if filters is not None else FilterChain()
        self.augment = augment
        self.training_corruptions = training_corruptions
        if training_corruptions.p_of(seed) > 0 and self.filters.training_only:
            raise ValueError(f"data.filters: {self.filters} is random, and cannot follow data.training_corruptions")
        if not 0.0 <= upstrokes <= 1.0:
            raise ValueError(f"data.upstrokes: {upstrokes} is not allowed; 0 to 1 is")
        if upstrokes > 0 and (self.filters != FilterChain() or class_names(dataset)[ONE] != str(ONE)):
            raise ValueError(f"data.upstrokes: {upstrokes} is for digits without filters: {dataset}, {self.filters}")
        self.upstrokes = upstrokes
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.val_size = val_size
        self.split_seed = split_seed
        self.image_paths = [images] if isinstance(images, Path) else images
        self.files: list[DigitFile] = []  # what became of them, once read
        if corruption not in (None, "all"):
            check_name(str(corruption))
        self.corruption = corruption
        self.corruption_seed = corruption_seed
        self.mnist_c = mnist_c
        self.test_curves = test_curves
        self.resident = resident
        self.num_workers = num_workers
        self.seed = seed
        self.class_names: Sequence[str] = class_names(dataset)
        self.mean = 0.0
        self.std = 1.0
        self.sha256: dict[str, str] = {}
        self._datasets: dict[str, DigitDataset] = {}

    def prepare_data(self) -> None:
        """Download what torchvision provides: Lightning calls this in one process, before the others read it.

        Raises:
            Failure: a download failed.
        """
        command = self.trainer.state.fn if self.trainer else "fit"
        parts: tuple[Part, ...] = ("train", "t10k")
        if is_downloaded(self.dataset, self.root) and command != "predict":
            for part in parts:
                load_part(self.dataset, self.root, part)

    def setup(self, stage: str) -> None:
        """Read and filter what the stage needs; what is already there is kept.

        Raises:
            Failure: a file is damaged or a download failed.
            UsageError: a file is missing, or `val_size` is too large.
        """
        if stage in ("fit", "validate") and "train" not in self._datasets:
            self._setup_training()
        if stage == "predict" and "predict" not in self._datasets:
            self._setup_files()
        if (stage == "test" or (stage == "fit" and self.test_curves)) and "test" not in self._datasets:
            self._setup_test(corrupted=stage == "test")

    def _setup_training(self) -> None:
        part = load_part(self.dataset, self.root, "train")
        self.sha256["train"] = part.sha256
        try:
            train, val = stratified_split(part.labels, self.val_size, self.split_seed)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._add("train", part.images[train], self.filters, part.labels[train], train)
        self._add("val", part.images[val], self.filters.for_evaluation(), part.labels[val], val)
        self.mean, self.std = pixel_mean_std(self._datasets["train"].images.numpy())
        if self.training_corruptions.p_of(self.seed) > 0:
            self._add("train", part.images[train], FilterChain(), part.labels[train], train)
        if self.std == 0.0:
            raise UsageError(
                f"data.filters: {self.filters} leaves every pixel equal (choose a chain that keeps the digit)"
            )

    def _setup_test(self, *, corrupted: bool) -> None:
        part = load_part(self.dataset, self.root, "t10k")
        self.sha256["test"] = part.sha256
        images, labels = part.images, part.labels
        if corrupted and self.corruption not in (None, "all"):
            name = str(self.corruption)
            if self.mnist_c is not None:
                images, labels = read_mnist_c(self.mnist_c, name)
            else:
                images = load_corrupted(images, name, seed=self.corruption_seed)
        self._add("test", images, self.filters.for_evaluation(), labels, np.arange(len(labels)))

    def corrupt_test_images(self, name: str | None) -> None:
        """Use another corruption, or none, in the next `test`.

        Raises:
            ValueError: no corruption has that name.
        """
        if name is not None:
            check_name(name)
        self.corruption = name
        self._datasets.pop("test", None)

    def _setup_files(self) -> None:
        if not self.image_paths:
            raise UsageError("data.images: missing (give image files, or a folder of them, with one digit each)")
        self.files, digits = read_digit_files(self.image_paths)
        unknown = np.zeros(len(digits), dtype=np.uint8)
        self._add("predict", digits, self.filters.for_evaluation(), unknown, np.arange(len(digits)))

    def _add(
        self, name: str, images: Images, chain: FilterChain, labels: Images, indices: npt.NDArray[np.int64]
    ) -> None:
        filtered = apply_chain(chain, images, label=f"{name} images")
        # `filtered` may be a read-only view of the file's bytes: torch wants memory of its own.
        tensor = torch.from_numpy(filtered if filtered.flags.writeable else filtered.copy())[:, None]
        self._datasets[name] = DigitDataset(
            tensor, torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(indices)
        )

    def size(self, part: str) -> int:
        """Return the number of images of `train`, `val` or `test`, once it is set up."""
        return len(self._datasets[part])

    def has_test_images(self) -> bool:
        """Tell whether the test files can be found, without reading them (sets that are downloaded: yes)."""
        if is_downloaded(self.dataset, self.root):
            return True
        try:
            find_file(self.root or BUNDLED, "t10k-images-idx3-ubyte")
            find_file(self.root or BUNDLED, "t10k-labels-idx1-ubyte")
        except UsageError:
            return False
        return True

    def _loader(self, part: str, *, training: bool = False, shared: bool = True) -> BatchLoader:
        trainer = self.trainer if shared else None
        resides = self.resident and self.num_workers == 0
        device = trainer.strategy.root_device if trainer and resides else torch.device("cpu")
        dataset = self._datasets[part] = self._datasets[part].to(device)
        if trainer and len(dataset) < trainer.world_size:  # one without a batch would leave the others waiting
            raise UsageError(
                f"trainer.devices: {trainer.world_size} processes cannot share {len(dataset)} {part} images "
                f"(at most {len(dataset)} can)"
            )
        order = BatchOrder(
            len(dataset),
            self.batch_size if training else self.eval_batch_size,
            shuffle=training,
            seed=self.seed,
            num_replicas=trainer.world_size if trainer else 1,
            rank=trainer.global_rank if trainer else 0,
            device=device,
        )
        return BatchLoader(dataset, order, self.num_workers)

    def train_dataloader(self) -> BatchLoader:
        """Return the training batches, shuffled anew each epoch."""
        return self._loader("train", training=True)

    @property
    def val_parts(self) -> list[str]:
        """What is scored after an epoch, in the order of `val_dataloader`: `val`, and `test` for the curves."""
        fitting = self.trainer is not None and self.trainer.state.fn == "fit"
        return (["val"] if self.val_size else []) + (["test"] if self.test_curves and fitting else [])

    def val_dataloader(self) -> list[BatchLoader]:
        """Return the validation batches; while fitting also the test batches, for the curves."""
        return [self._loader(part) for part in self.val_parts]

    def test_dataloader(self) -> BatchLoader:
        """Return the whole test set, each image once."""
        return self._loader("test")

    def predict_dataloader(self) -> PlainBatches:
        """Return the digits of the image files that could be read: all of them in every process.

        Answers of different processes are not gathered by Lightning, and each process writes the same table.
        """
        return PlainBatches(self._loader("predict", shared=False))

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to the device; on the CPU it is there already."""
        if device.type == "cpu":
            return batch
        return Batch(*(part.to(device, non_blocking=True) for part in batch))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment and corrupt training batches on the device they have just been moved to."""
        trainer, corrupts = self.trainer, self.training_corruptions.p_of(self.seed) > 0
        changes = corrupts or self.upstrokes > 0 or not self.augment.is_identity
        if not changes or trainer is None or not trainer.training:
            return batch
        images = batch.images
        draw = {"seed": self.seed, "epoch": trainer.current_epoch, "indices": batch.indices}
        if self.upstrokes > 0:
            images = with_upstrokes(images, batch.targets, self.upstrokes, **draw)
        if not self.augment.is_identity:
            images = random_warp(images, self.augment, **draw)
        if corrupts:
            images = filter_batch(self.filters, self.training_corruptions(images, **draw))
        return batch._replace(images=images)
