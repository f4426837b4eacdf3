"""A network with its training rules: loss, optimiser, schedule, scores.

Batches of uint8 images come in; scaling and normalising are the first thing that happens to them on the device. The
preprocessing contract is written into every checkpoint.
"""

import math
from collections.abc import Iterable
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from mnist_lit.data.batches import Batch
from mnist_lit.errors import Failure
from mnist_lit.model.adaptation import adapt_batchnorm as adapt
from mnist_lit.model.adaptation import has_batchnorm
from mnist_lit.model.checkpoint import KEY, Contract, contract_entry
from mnist_lit.model.metrics import Answers, curve_metrics, mean_loss, score_metrics
from mnist_lit.model.networks import NetworkName, Normalize, build_network, mean_answer

NUM_CLASSES = 10
_COUNTED_AT_ONCE = 100  # batches


class DigitClassifier(LightningModule):
    """Classifies digits; trained with cross-entropy.

    Args:
        network: which network, see `mnist_lit.model.networks`.
        optimizer: `adamw` (decoupled weight decay, Loshchilov and Hutter 2019) or `sgd` (with Nesterov momentum if
            `momentum` is above 0).
        lr: learning rate; with `one_cycle`, its peak.
        weight_decay: applied to weights of convolutions and linear layers, not to biases and norms.
        betas: of `adamw`: decay of its running means of gradients and of their squares, each 0 to below 1.
        momentum: of `sgd`, 0 to below 1.
        schedule: `one_cycle` (see the function of that name) or `constant`.
        warmup: fraction of a one-cycle run in which the learning rate rises, 0 to 1.
        label_smoothing: 0 to below 1; how much of the target probability is spread over all classes.
        ema_decay: of the exponential moving average of the weights, 0 to below 1: it is what is validated, kept and
            used; 0 means that the weights themselves are.
        standardize: subtract the mean and divide by the standard deviation of the training pixels; else pixels are
            only scaled to [0, 1].
        channels_last: memory format of the convolutions; on CPUs it makes the reference network 2.7 times faster.
        compile: let `torch.compile` translate the network for `fit` (needs a C++ compiler, and up to a minute before
            the first step). Weights, checkpoints and all other commands stay as they are.
        adapt_batchnorm: in `test`, take the statistics of batch normalisation from the (unlabelled) test images
            instead of the training images: AdaBN, see `mnist_lit.model.adaptation`.
    """

    def __init__(
        self,
        network: NetworkName = "reference",
        optimizer: Literal["adamw", "sgd"] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        momentum: float = 0.0,
        schedule: Literal["one_cycle", "constant"] = "one_cycle",
        warmup: float = 0.3,
        label_smoothing: float = 0.0,
        ema_decay: float = 0.0,
        standardize: bool = True,
        channels_last: bool = True,
        compile: bool = False,  # noqa: A002 - the field's word for it
        adapt_batchnorm: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        _check("lr", lr, lr > 0 and math.isfinite(lr), "a finite number above 0")
        _check("weight_decay", weight_decay, 0 <= weight_decay < math.inf, "a finite number, 0 or above")
        for beta in betas:
            _check("betas", beta, 0 <= beta < 1, "two numbers from 0 to below 1")
        _check("momentum", momentum, 0 <= momentum < 1, "a number from 0 to below 1")
        _check("warmup", warmup, 0 <= warmup <= 1, "a number from 0 to 1")
        _check("label_smoothing", label_smoothing, 0 <= label_smoothing < 1, "a number from 0 to below 1")
        _check("ema_decay", ema_decay, 0 <= ema_decay < 1, "a number from 0 to below 1")
        self.network_name = network
        self.optimizer_name = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.betas = betas
        self.momentum = momentum
        self.schedule = schedule
        self.warmup = warmup
        self.label_smoothing = label_smoothing
        self.standardize = standardize
        self.filters = "none"  # of the data it is trained on; set in `setup`, kept in the contract
        self.normalize = Normalize()
        self.network = build_network(network)
        if adapt_batchnorm and not has_batchnorm(self.network):
            raise ValueError(
                f"model.adapt_batchnorm: true is not allowed; {network} has no batch normalisation to adapt"
            )
        self.adapt_batchnorm = adapt_batchnorm
        self.compiles = compile
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.curves = nn.ModuleDict({part: curve_metrics(NUM_CLASSES) for part in ("val", "test")})
        self.losses = nn.ModuleDict({part: mean_loss() for part in ("val", "test")})
        self.scores = score_metrics(NUM_CLASSES)
        self.answers = Answers()
        self._train_answers: list[tuple[Tensor, Tensor]] = []  # logits and targets of the epoch's last batches
        self._train_correct: Tensor | int = 0  # in the batches before
        self._train_seen = 0
        self._total_steps = 0  # of the run, once it is known
        self._log_every = 1  # steps; the trainer's `log_every_n_steps`, once it starts
        self.example_input_array = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute: without `nn.Module`'s checks if it is the running hook's name, set 40 times a step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @property
    def contract(self) -> Contract:
        """The preprocessing that belongs to these weights."""
        return Contract(self.filters, float(self.normalize.mean), float(self.normalize.std))

    def setup(self, stage: str) -> None:
        """Take filters, mean and standard deviation over from the data it is about to be trained on."""
        datamodule = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and datamodule is not None:
            self.filters = str(datamodule.filters)
            if self.standardize:
                self.normalize.mean.fill_(datamodule.mean)
                self.normalize.std.fill_(datamodule.std)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the contract into the checkpoint."""
        checkpoint.setdefault(KEY, {}).update(contract_entry(self.network_name, self.contract))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the filter chain of the contract (mean and standard deviation are in the state dict)."""
        self.filters = checkpoint[KEY]["contract"]["filters"]

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images `(N, 1, 28, 28)` (or float, 0 to 255) to logits `(N, 10)`."""
        logits: Tensor = self.network(self.normalize(images))
        return logits

    def _step(self, batch: Batch, stage: str) -> tuple[Tensor, Tensor]:
        """Return loss (scalar) and logits `(B, 10)`, both float32. Labels are smoothed in training only.

        The loss of a network that answers several times over, `(B, 10, K)` in training, is the mean of its answers'.
        """
        logits = self(batch.images).float()
        smoothing = self.label_smoothing if stage == "train" else 0.0
        if logits.ndim == 3:
            targets = batch.targets[:, None].expand(-1, logits.shape[2])
            return F.cross_entropy(logits, targets, label_smoothing=smoothing), mean_answer(logits)
        return F.cross_entropy(logits, batch.targets, label_smoothing=smoothing), logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of one batch; log it every `log_every_n_steps` steps, since a log call costs time.

        Raises:
            Failure: the loss is not finite. On a GPU it is looked at only when it is logged, to keep the steps going.
        """
        loss, logits = self._step(batch, "train")
        self._train_answers.append((logits.detach(), batch.targets))
        if len(self._train_answers) == _COUNTED_AT_ONCE:
            self._count_train_answers()
        is_logged = batch_idx % self._log_every == 0
        if (is_logged or loss.is_cpu) and not math.isfinite(loss.item()):
            raise Failure(
                f"model.lr: the loss is {loss.item()} at step {self.global_step} (a smaller lr than {self.lr} may help)"
            )
        if is_logged:
            lr = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log_dict({"train/loss": loss.detach(), "lr": lr})
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the training accuracy of the epoch, over all processes."""
        self._count_train_answers()
        counts = torch.as_tensor([float(self._train_correct), float(self._train_seen)], device=self.device)
        total = self.trainer.strategy.reduce(counts, reduce_op="sum")
        assert isinstance(total, Tensor)
        self.log("train/acc", total[0] / total[1].clamp(min=1.0))
        self._train_correct, self._train_seen = 0, 0

    def _count_train_answers(self) -> None:
        """Count many batches at once: one by one, counting would take as long as a small network's forward pass."""
        if self._train_answers:
            logits, targets = (torch.cat(parts) for parts in zip(*self._train_answers, strict=True))
            self._train_correct = self._train_correct + (logits.argmax(dim=1) == targets).sum()
            self._train_seen += len(targets)
            self._train_answers.clear()

    def _reset_metrics(self) -> None:
        """Empty all metrics; at the start, since states made at the end of inference could not be updated later."""
        for part in ("val", "test"):
            self._loss(part).reset()
            self._curve(part).reset()
        self.scores.reset()
        self.answers.reset()

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset_metrics()

    def on_test_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset_metrics()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score one batch of the validation images, or of the test images for their curve."""
        part = self._val_parts()[dataloader_idx]
        loss, logits = self._step(batch, part)
        self._loss(part).update(loss, len(batch.targets))
        self._curve(part).update(logits, batch.targets)
        if self.trainer.state.fn != "fit":
            self.scores.update(logits, batch.targets)
            self.answers.update(logits, batch.targets, batch.indices)

    def on_validation_epoch_end(self) -> None:
        """Log loss and accuracy of each part."""
        for part in self._val_parts():
            self.log_dict(
                {f"{part}/loss": self._loss(part).compute(), f"{part}/acc": self._curve(part).compute()["acc"]},
            )

    def on_test_start(self) -> None:
        """Adapt batch normalisation to the test images, if that is asked for; labels are not looked at."""
        if not self.adapt_batchnorm:
            return
        strategy, precision = self.trainer.strategy, self.trainer.precision_plugin
        loader = cast(Iterable[Batch], self.trainer.test_dataloaders)
        batches = (cast(Batch, strategy.batch_to_device(batch, self.device)) for batch in loader)
        with precision.forward_context():
            adapt(
                self,
                (batch.images for batch in batches),
                reduce=lambda statistic: cast(Tensor, strategy.reduce(statistic, reduce_op="mean")),
            )

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Score one batch of the test images; return its logits `(B, 10)` to the callbacks."""
        loss, logits = self._step(batch, "test")
        self._loss("test").update(loss, len(batch.targets))
        self.scores.update(logits, batch.targets)
        self.answers.update(logits, batch.targets, batch.indices)
        return logits

    def on_test_epoch_end(self) -> None:
        """Make loss and accuracy known; not to the loggers, whose test curve is one point per epoch."""
        self.log("test/loss", self._loss("test").compute(), logger=False)
        self.log("test/acc", self.scores.compute()["acc"], logger=False)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return probabilities `(B, 10)`."""
        return torch.softmax(self(batch.images).float(), dim=1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser, and with `one_cycle` its schedule, stepped after every training step."""
        decayed = [p for p in self.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        optimizer: torch.optim.Optimizer
        if self.optimizer_name == "adamw":
            optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)
        else:
            optimizer = torch.optim.SGD(
                groups, lr=self.lr, momentum=self.momentum, nesterov=self.momentum > 0, fused=True
            )
        self._total_steps = 0
        factor = (lambda step: 1.0) if self.schedule == "constant" else self._one_cycle
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _one_cycle(self, step: int) -> float:
        if step == 0:
            # Asked when the optimiser is made. To count the steps of a run the trainer sets its loader up, and one that
            # is set up before a checkpoint is restored is never told where in the epoch the run was stopped.
            return one_cycle(0.0, self.warmup)
        if self._total_steps == 0:
            self._total_steps = int(self.trainer.estimated_stepping_batches)
        return one_cycle(step / max(1, self._total_steps - 1), self.warmup)

    def on_fit_start(self) -> None:
        """Have the network compiled, when it is first called, if that is asked for."""
        if self.compiles:
            self.network.compile()

    def on_train_start(self) -> None:
        """Let the hyper-parameters of the config win over those that a resumed optimiser remembers."""
        self._log_every = int(getattr(self.trainer, "log_every_n_steps", 1)) or 1
        optimizer, scheduler = self.trainer.optimizers[0], self.lr_schedulers()
        assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
        scheduler.base_lrs = [self.lr for _ in scheduler.base_lrs]
        for group, decay, factor in zip(
            optimizer.param_groups, (self.weight_decay, 0.0), scheduler.lr_lambdas, strict=True
        ):
            group["weight_decay"] = decay
            group["lr"] = self.lr * factor(scheduler.last_epoch)
            if "betas" in group:
                group["betas"] = self.betas
            if "momentum" in group:
                group["momentum"], group["nesterov"] = self.momentum, self.momentum > 0

    def _loss(self, part: str) -> MeanMetric:
        return cast(MeanMetric, self.losses[part])

    def _curve(self, part: str) -> MetricCollection:
        return cast(MetricCollection, self.curves[part])

    def _val_parts(self) -> list[str]:
        return list(getattr(getattr(self.trainer, "datamodule", None), "val_parts", ["val"]))


def one_cycle(progress: float, warmup: float) -> float:
    """Return the learning rate as a fraction of its peak: cosine from 1/25 up to 1, then down to 1/250,000.

    Args:
        progress: how much of the run is done, 0 to 1.
        warmup: the part of the run in which the rate rises, 0 to 1.

    Source: Smith 2018, arXiv 1803.09820; the numbers are those of `torch.optim.lr_scheduler.OneCycleLR`. A pure
    function of the step, so that a resumed run follows the config it is given.
    """
    start, end = 1 / 25, 1 / 25e4
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    done = min(1.0, (progress - warmup) / (1 - warmup)) if warmup < 1 else 0.0
    return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2


def _check(name: str, value: float, allowed: bool, what: str) -> None:
    if not allowed:
        raise ValueError(f"model.{name}: {value} is not allowed; {what} is")
