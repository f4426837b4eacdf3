"""Two processes on one machine do what one process does: the same scores, and the same samples in every step.

This file is also the program that the tests start, with the number of processes: Lightning starts the others itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EVERYTHING = 101  # test images: a prime, so that no number of processes divides it
VALIDATION = 101
TRAIN = VALIDATION + 5 * 32 + 7
GLOBAL_BATCH = 32


def stock_batches(data):
    """The test images in a plain loader, which Lightning shares out among the processes in its own way."""
    from torch.utils.data import DataLoader

    return DataLoader(data._datasets["test"], batch_size=50)


def program(folder, out, processes):
    """Train, validate, test and predict; each process writes what it saw to `out/RANK.json`."""
    import hashlib

    import torch
    from lightning import Callback, Trainer, seed_everything

    from mnist_lit.data.augment import Augmentation
    from mnist_lit.data.datamodule import DigitsDataModule
    from mnist_lit.data.filters import FilterChain
    from mnist_lit.model.classifier import DigitClassifier

    class Seen(Callback):
        """Keeps the indices of every training step, and a digest of every augmented image."""

        def __init__(self):
            self.steps, self.digests = [], {}

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.steps.append([trainer.current_epoch, batch.indices.tolist()])
            for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
                text = image.mul(16).round().int().numpy().tobytes()
                self.digests[f"{trainer.current_epoch}/{index}"] = hashlib.sha256(text).hexdigest()

    def make_trainer(**more):
        return Trainer(
            accelerator="cpu",
            devices=processes,
            strategy="ddp" if processes > 1 else "auto",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            **more,
        )

    def answers(model):
        found = {name: values.tolist() for name, values in model.answers.compute().items()}
        found["confusion"] = model.scores.compute()["confusion"].tolist()
        model.answers.reset()
        model.scores.reset()
        return found

    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    data = DigitsDataModule(
        "idx",
        folder,
        filters=FilterChain.parse("gaussian"),
        augment=Augmentation(degrees=10, translate=2),
        batch_size=GLOBAL_BATCH // processes,
        eval_batch_size=50,  # the first of two processes has 51 images, the second 50: two batches and one
        val_size=VALIDATION,
        images=folder / "images",
        seed=3,
    )
    model, seen, result = DigitClassifier(), Seen(), {}
    trainer = make_trainer()
    trainer.validate(model, datamodule=data, verbose=False)
    result["validate"] = answers(model)
    result["val/loss"] = float(trainer.callback_metrics["val/loss"])
    trainer = make_trainer()
    trainer.test(model, datamodule=data, verbose=False)
    result["test"] = answers(model)
    result["test/loss"] = float(trainer.callback_metrics["test/loss"])
    trainer = make_trainer()
    trainer.test(model, stock_batches(data), verbose=False)
    result["stock"] = answers(model)
    trainer = make_trainer()
    result["predict"] = torch.cat(trainer.predict(model, datamodule=data)).tolist()
    trainer = make_trainer(max_epochs=2, callbacks=[seen])
    trainer.fit(DigitClassifier(), datamodule=data)
    result["steps"], result["digests"] = seen.steps, seen.digests
    (Path(out) / f"{trainer.global_rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    program(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
else:
    pytestmark = pytest.mark.slow  # each run starts processes that import torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from PIL import Image
    from small_data import write_small_set

    from mnist_lit.data.idx import read_set

    path = write_small_set(tmp_path_factory.mktemp("digits"), train=TRAIN, test=EVERYTHING)
    (path / "images").mkdir()
    for i, image in enumerate(read_set(path, "t10k").images[:5]):
        Image.fromarray(image).save(path / "images" / f"{i}.png")
    return path


def results(folder, out, processes):
    """Run the program; return what each process saw."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder), str(out), str(processes)]
    done = subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture(scope="module")
def one(folder, tmp_path_factory):
    return results(folder, tmp_path_factory.mktemp("one"), 1)[0]


@pytest.fixture(scope="module")
def two(folder, tmp_path_factory):
    return results(folder, tmp_path_factory.mktemp("two"), 2)


@pytest.mark.parametrize("command", ["validate", "test"])
def test_two_processes_answer_every_image_once(one, two, command):
    count = {"validate": VALIDATION, "test": EVERYTHING}[command]
    for process in two:
        assert len(process[command]["indices"]) == len(set(process[command]["indices"])) == count
        assert process[command]["indices"] == one[command]["indices"]
    if command == "test":
        assert one["test"]["indices"] == list(range(EVERYTHING))


@pytest.mark.parametrize("command", ["validate", "test"])
def test_two_processes_find_the_scores_of_one(one, two, command):
    for process in two:
        for name in ("targets", "answers", "confusion"):
            assert process[command][name] == one[command][name]
        assert process[command]["confidences"] == pytest.approx(one[command]["confidences"], abs=1e-5)
        loss = {"validate": "val/loss", "test": "test/loss"}[command]
        assert process[loss] == pytest.approx(one[loss], abs=1e-5)
    assert sum(map(sum, one[command]["confusion"])) == len(one[command]["indices"])


def test_the_stock_loader_scores_an_image_twice(one, two):
    assert len(one["stock"]["indices"]) == EVERYTHING
    assert len(two[0]["stock"]["indices"]) == EVERYTHING + 1
    assert sum(map(sum, two[0]["stock"]["confusion"])) == EVERYTHING + 1


def test_each_process_predicts_all_images(one, two):
    assert len(one["predict"]) == 5
    for process in two:
        for found, wanted in zip(process["predict"], one["predict"], strict=True):
            assert found == pytest.approx(wanted, abs=1e-5)


def test_two_processes_train_on_the_samples_of_one_with_the_double_batch(one, two):
    assert len(one["steps"]) == 2 * -(-(TRAIN - VALIDATION) // GLOBAL_BATCH)
    for alone, first, second in zip(one["steps"], two[0]["steps"], two[1]["steps"], strict=True):
        assert alone[0] == first[0] == second[0]
        assert alone[1][0::2] == first[1]
        assert alone[1][1::2] == second[1]


def test_an_epoch_has_every_training_sample_once_in_another_order(one):
    first, second = ([i for epoch, step in one["steps"] if epoch == which for i in step] for which in (0, 1))
    assert len(first) == len(set(first)) == TRAIN - VALIDATION
    assert set(first) == set(second)
    assert first != second


def test_a_sample_is_augmented_the_same_by_one_process_and_by_two(one, two):
    assert {**two[0]["digests"], **two[1]["digests"]} == one["digests"]
    assert not two[0]["digests"].keys() & two[1]["digests"].keys()
    indices = {key.split("/")[1] for key in one["digests"]}
    assert all(one["digests"][f"0/{index}"] != one["digests"][f"1/{index}"] for index in indices)
