"""The end of a run: the best checkpoint is tested, `results.json` is written, figures and TensorBoard get theirs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image

from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.run.callbacks import RunFolder
from mnist_lit.run.environment import environment
from mnist_lit.run.folder import BEST, RESULTS, RunTensorBoard
from mnist_lit.run.run_figures import write_figures

WORST = 36
SCHEMA = 1


def scores_of(trainer: Trainer, model: DigitClassifier, part: str) -> dict[str, Any]:
    """Return what an evaluation of `val` or `test` found, as plain data.

    Accuracies are fractions; `confusion` has truth in rows; `mistakes` are the worst ones, most confident first.
    """
    scores = model.scores.compute()
    answers = {name: values.numpy() for name, values in model.answers.compute().items()}
    wrong = np.flatnonzero(answers["answers"] != answers["targets"])
    worst = wrong[np.argsort(-answers["confidences"][wrong], kind="stable")][:WORST]
    return {
        "n": len(answers["targets"]),
        "errors": len(wrong),
        "acc": 1.0 - len(wrong) / max(1, len(answers["targets"])),
        "loss": float(trainer.callback_metrics[f"{part}/loss"]),
        "ece": float(scores["ece"]),
        "acc_per_class": [float(value) for value in scores["acc_per_class"]],
        "confusion": scores["confusion"].tolist(),
        "mistakes": [
            {
                "index": int(answers["indices"][i]),
                "truth": int(answers["targets"][i]),
                "answer": int(answers["answers"][i]),
                "confidence": round(float(answers["confidences"][i]), 6),
            }
            for i in worst
        ],
    }


def score_summary(part: str, scores: dict[str, Any]) -> str:
    """Return the line with the scores of one evaluation."""
    return (
        f"{part:<10} accuracy {100 * scores['acc']:.2f} % ({scores['errors']} of {scores['n']:,} wrong), "
        f"loss {scores['loss']:.4f}, calibration error {100 * scores['ece']:.2f} %"
    )


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write plain data as JSON, whole or not at all."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def finish_fit(
    trainer: Trainer,
    model: DigitClassifier,
    data: DigitsDataModule,
    run_folder: RunFolder,
    *,
    seconds: float,
    first_step: int | None,
    say: Callable[[str], None],
) -> None:
    """Test the best checkpoint and fill the run folder.

    Args:
        trainer: the trainer that has just fitted.
        model: the model; the best checkpoint's weights are loaded into it.
        data: its data.
        run_folder: where to write.
        seconds: wall time of the fit.
        first_step: the step that the fit went on with, where it is resumed and `seconds` is not the whole time.
        say: prints a line to the user.
    """
    folder = run_folder.path
    assert folder is not None
    best = folder / "checkpoints" / f"{BEST}.ckpt"
    loggers = trainer.loggers
    epochs, steps = trainer.current_epoch, trainer.global_step
    chosen = next(c.best_model_score for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint))
    score = trainer.callback_metrics.get("val/acc") if chosen is None else chosen  # the last epoch's, if that counts
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "experiment": run_folder.experiment,
        "seed": data.seed,
        "network": model.network_name,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "filters": model.filters,
        "mean": float(model.normalize.mean),
        "std": float(model.normalize.std),
        "epochs": epochs,
        "steps": steps,
        "fit_seconds": round(seconds, 2),
        "resumed": first_step is not None,
        "best_val_acc": float(score) if score is not None and data.val_size else None,
        "test": None,
    }
    if data.has_test_images():
        trainer.test(model, datamodule=data, ckpt_path=best, weights_only=True, verbose=False)
        results["test"] = scores_of(trainer, model, "test")
    else:
        say(f"test       none: no test images in {data.root}")
    if not trainer.is_global_zero:
        return
    train_size = data.size("train")
    results["data"] = {
        "dataset": data.dataset,
        "root": str(data.root) if data.root else None,
        "train_size": train_size,
        "val_size": data.val_size,
        "split_seed": data.split_seed,
        "sha256": data.sha256,
    }
    results["environment"] = environment(trainer.strategy.root_device, str(trainer.precision))
    write_json(folder / RESULTS, results)
    figures = write_figures(folder)
    for logger in loggers:
        if isinstance(logger, RunTensorBoard):
            _to_tensorboard(logger, run_folder.config, results, figures, steps)
    if results["best_val_acc"] is not None:
        which = run_folder.config.get("keep", BEST)
        say(f"{'val':<10} accuracy {100 * results['best_val_acc']:.2f} % ({which} epoch)")
    if results["test"]:
        say(score_summary("test", results["test"]))
    fitted = epochs * (1 - (first_step or 0) / max(1, steps))  # epochs, without those before a resume
    each = f", {seconds / fitted:.1f} s an epoch" if fitted > 0 else ""
    say(f"fit took   {seconds:.0f} s{each}")
    say(f"wrote      {folder}: results.json, checkpoints, {len(figures)} figures")
    say(f"curves     tensorboard --logdir {folder.parent.parent}")


def _to_tensorboard(
    logger: RunTensorBoard, config: dict[str, Any], results: dict[str, Any], figures: list[Path], step: int
) -> None:
    writer = logger.experiment
    for path in figures:
        writer.add_image(f"figures/{path.stem}", np.asarray(Image.open(path).convert("RGB")), step, dataformats="HWC")
    flat = {
        f"{section}.{key}": value if isinstance(value, (int, float, str, bool)) else str(value)
        for section in ("model", "data", "trainer")
        for key, value in config[section].items()
        if value is not None
    }
    metrics = {"hp/val_acc": results["best_val_acc"]} if results["best_val_acc"] is not None else {}
    logger.log_hyperparams({"seed": results["seed"], **flat}, metrics)
    logger.save()
