"""An exponential moving average of the weights, which is what is validated, kept and used."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedWeights(WeightAveraging):
    """Lightning's weight averaging for a fit, and for nothing after it.

    A checkpoint's `state_dict` is the average; what a resumed fit needs beside it has keys of its own. Lightning's
    callback would go on in a test at the end of the fit, and load the weights that are not averaged.

    Args:
        decay: what the average keeps of itself at each step, 0 to below 1.

    Source: Polyak and Juditsky 1992 (averaging); `torch.optim.swa_utils.AveragedModel`.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]  # torch has no types

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take up the average in a resumed fit; elsewhere a checkpoint is loaded as it is."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of the average: the model holds it now."""
        self._average_model = None
