"""Steps of a fit are light: idle hooks are passed over, used ones are not, the bar is drawn no faster than eyes."""

import os

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel

from mnist_lit.run.callbacks import Progress, StopOnSignal, checkpoints
from mnist_lit.run.light_steps import _STEP_HOOKS, lighten


class Counter(Callback):
    def __init__(self):
        self.calls = 0

    def on_train_batch_end(self, *args):
        self.calls += 1


class Module(BoringModel):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def on_after_backward(self):
        self.calls += 1


def fit(callbacks, module, *, light=True, **more):
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, limit_train_batches=5, limit_val_batches=0, logger=False, callbacks=callbacks,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, **more,
    )  # fmt: skip
    if light:
        lighten(trainer, module)
    trainer.fit(module)
    return trainer


@pytest.fixture(autouse=True)
def _keep_environment(monkeypatch):
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")


@pytest.mark.filterwarnings("ignore")
def test_used_hooks_are_called_and_idle_ones_are_hidden():
    counter, module = Counter(), Module()
    fit([counter], module)
    assert (counter.calls, module.calls) == (5, 5)
    assert counter.on_before_backward is None
    assert module.on_before_backward is None
    assert Callback.on_before_backward is not None
    assert LightningModule.on_before_backward is not None


def test_a_hook_set_on_the_object_stays():
    counter, module = Counter(), Module()
    counter.on_train_batch_start = print
    trainer = Trainer(accelerator="cpu", logger=False, callbacks=[counter], enable_progress_bar=False)
    lighten(trainer, module)
    assert counter.on_train_batch_start is print


@pytest.mark.filterwarnings("ignore")
def test_training_is_the_same_with_and_without():
    weights = []
    for light in (True, False):
        torch.manual_seed(0)
        module = Module()
        fit([], module, light=light)
        weights.append(module.layer.weight.detach().clone())
    assert torch.equal(*weights)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there the look for GPUs stays as Lightning wants it")
def test_the_look_for_a_driver_is_skipped_where_there_is_none():
    lighten(Trainer(accelerator="cpu", logger=False, enable_progress_bar=False), Module())
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ


def test_of_our_callbacks_two_are_called_after_a_step_and_none_before_it():
    callbacks = [Progress(print), StopOnSignal(), *checkpoints(by_validation=True)]
    lighten(Trainer(accelerator="cpu", logger=False, callbacks=callbacks), Module())
    for name in _STEP_HOOKS:
        used = [type(one) for one in callbacks if callable(getattr(one, name))]
        assert used == ([Progress, StopOnSignal] if name == "on_train_batch_end" else []), name


def test_our_checkpoints_have_no_step_interval_that_would_need_the_hook():
    for one in checkpoints(by_validation=True):
        assert isinstance(one, ModelCheckpoint)
        assert one._every_n_train_steps == 0
        assert one._train_time_interval is None


def test_the_bar_is_drawn_ten_times_a_second_and_at_the_end(monkeypatch):
    from mnist_lit.run import callbacks

    bar = Progress(print)
    bar._is_terminal = True
    now = iter(range(1000))
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: 0.04 * next(now))
    drawn = []
    monkeypatch.setattr(callbacks.TQDMProgressBar, "on_train_batch_end", lambda *args: drawn.append(args[-1]))
    monkeypatch.setattr(callbacks.TQDMProgressBar, "total_train_batches", 8)
    for step in range(8):
        bar.on_train_batch_end(None, None, None, None, step)
    assert drawn == [3, 6, 7]
