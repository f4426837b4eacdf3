"""What Lightning does in every training step for nobody, taken out before a fit.

The trainer calls every hook of every callback and of the module, overridden or not, each in a profiler's context; but
it passes over an attribute that cannot be called. With five callbacks that is half of what it adds to a short step.
"""

import os

import torch
from lightning import Callback, LightningModule, Trainer

_STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# Set when Lightning is imported, so that a process can be forked after it has looked for GPUs. It makes torch's
# optimisers look for the library of NVIDIA's driver at every step: 0.04 ms. The processes of this project are spawned.
_LOOK_FOR_DRIVER = "PYTORCH_NVML_BASED_CUDA_CHECK"


def lighten(trainer: Trainer, module: LightningModule) -> None:
    """Hide the hooks of a training step that module and callbacks inherit and do not use, and skip a look for GPUs."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of its connectors
    for owner in (module, *callbacks):
        base = Callback if isinstance(owner, Callback) else LightningModule
        for name in _STEP_HOOKS:
            if name not in vars(owner) and getattr(type(owner), name) is getattr(base, name):
                setattr(owner, name, None)
    if not torch.cuda.is_available():
        os.environ.pop(_LOOK_FOR_DRIVER, None)
