"""Learning to group: the weights of `mnist_lit.use.segment_model` from the examples of `segment_pages`.

First the network that tells whole digits (`train_network`), on pages of digits that the recognizer was trained on
too; then the weights of the random field (`fit_field`), on pages of digits that neither has seen, so that the answers
of both are as sure as they are on a user's page, and no surer.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mnist_lit.study.segment_pages import LineExample
from mnist_lit.use import segment_model as model
from mnist_lit.use.arrays import Floats
from mnist_lit.use.segment_model import SegmentWeights, from_tensors
from mnist_lit.use.wholes import CONVOLUTIONS, FEATURES, HIDDEN, WholeDigits

_BATCH = 128
_LR, _WEIGHT_DECAY = 0.004, 0.02
_LEAST_STEPS = 10  # that the schedule of the learning rate needs
_SHIFT = 2  # pixels that a view is moved by in training, up to
_PULL = 1e-4  # of the field's weights towards where they start, per squared unit
_MOST_LOSS = 50.0  # of a line, nats: a line that cannot be right does not count more
_NEVER = -1e4


class WholeNetwork(nn.Module):
    """What `WholeDigits` computes, for training: with batch normalisation, which `arrays` folds into the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, outputs, size, 2, size // 2, bias=False), nn.BatchNorm2d(outputs))
            for inputs, outputs, size in CONVOLUTIONS
        )
        self.dropout = nn.Dropout(0.2)
        self.full0, self.full1 = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, views: Tensor) -> Tensor:
        """Map uint8 `(N, 2, 32, 40)` to log odds `(N,)`."""
        x = views.float() / 255.0
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        x = F.relu(self.full0(self.dropout(x.permute(0, 2, 3, 1).flatten(1))))
        log_odds: Tensor = self.full1(x)[:, 0]
        return log_odds

    def arrays(self) -> WholeDigits:
        """Return the trained network for NumPy."""
        weights: dict[str, Floats] = {}
        for number, block in enumerate(self.convolutions):
            assert isinstance(block, nn.Sequential)
            convolution, normalization = block[0].eval(), block[1].eval()
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(normalization, nn.BatchNorm2d)
            fused = fuse_conv_bn_eval(convolution, normalization)
            assert fused.bias is not None
            weights[f"conv{number}"] = _array(fused.weight.flatten(1).T)
            weights[f"conv{number}_bias"] = _array(fused.bias)
        for name, layer in (("full0", self.full0), ("full1", self.full1)):
            weights[name], weights[f"{name}_bias"] = _array(layer.weight.T), _array(layer.bias)
        return WholeDigits(weights)


def _array(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().numpy(), np.float32)


def train_network(
    lines: Sequence[LineExample], epochs: int, seed: int, step: Callable[[int, float], None]
) -> WholeDigits:
    """Train the network on the groups of lines, unclear ones left out.

    Args:
        lines: examples.
        epochs: passes over them.
        seed: of the first weights, the order and the shifts.
        step: called after each epoch with its number, from 1, and the mean loss, nats.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    views = torch.from_numpy(np.concatenate([line.views[~line.is_unclear] for line in lines]))
    targets = torch.from_numpy(np.concatenate([line.is_digit[~line.is_unclear] for line in lines])).float()
    network = WholeNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    steps = max(_LEAST_STEPS, epochs * -(-len(views) // _BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LR, total_steps=steps, pct_start=0.2)
    for epoch in range(1, epochs + 1):
        network.train()
        total = 0.0
        for chosen in torch.split(torch.randperm(len(views), generator=generator), _BATCH):
            moves = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=generator).tolist()
            loss = F.binary_cross_entropy_with_logits(network(_moved(views[chosen], *moves)), targets[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        step(epoch, total / len(views))
    return network.eval().arrays()


def _moved(views: Tensor, down: int, right: int) -> Tensor:
    """Views `(N, 2, 32, 40)` moved by whole pixels, nothing outside."""
    height, width = views.shape[2:]
    padded = F.pad(views, [_SHIFT] * 4)
    return padded[:, :, _SHIFT - down : _SHIFT - down + height, _SHIFT - right : _SHIFT - right + width]


class _Lines:
    """Lines as tensors: all groups in a row, and their places in a table of (line, first part, parts less one)."""

    def __init__(self, lines: Sequence[LineExample], network: WholeDigits) -> None:
        self.count, self.length = len(lines), max(len(line.must) for line in lines)
        self.most = max(int((line.last - line.first).max(initial=0)) + 1 for line in lines)  # parts of a group

        def joined(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([getattr(line, name) for line in lines])).float()

        self.measures, self.probabilities = joined("measures"), joined("probabilities")
        self.aspects, self.lengths = joined("aspects"), joined("lengths")
        odds = torch.from_numpy(network.log_odds(np.concatenate([line.views for line in lines])))
        self.odds = odds.clamp(-model.MOST_LOG_ODDS, model.MOST_LOG_ODDS)
        self.is_digit = joined("is_digit") > 0
        self.place = torch.from_numpy(
            np.concatenate(
                [
                    (number * self.length + line.first) * self.most + line.last - line.first
                    for number, line in enumerate(lines)
                ]
            )
        )
        self.skips = torch.zeros(self.count, self.length, lines[0].skips.shape[1])
        self.must = torch.zeros(self.count, self.length, dtype=torch.bool)
        self.is_padding = torch.ones(self.count, self.length, dtype=torch.bool)
        for number, line in enumerate(lines):
            self.skips[number, : len(line.must)] = torch.from_numpy(line.skips)
            self.must[number, : len(line.must)] = torch.from_numpy(line.must)
            self.is_padding[number, : len(line.must)] = False


def _group_scores(weights: dict[str, Tensor], lines: _Lines) -> Tensor:
    """The same as `SegmentWeights.group_scores`, differentiable."""
    aspect_mean, aspect_sd = torch.from_numpy(model.ASPECT_MEAN), torch.from_numpy(model.ASPECT_SD)
    length_mean, length_sd = torch.from_numpy(model.LENGTH_MEAN), torch.from_numpy(model.LENGTH_SD)
    wide = ((lines.aspects[:, None] - aspect_mean) / aspect_sd).clamp(-4, 4)
    away = (lines.lengths[:, None] - length_mean) / length_sd
    away = (away.sign() * (away.abs() - model.NEAR).clamp(min=0)).clamp(-5, 5)
    shapes = weights["answers"] + torch.where(wide > 0, weights["width"][0], weights["width"][1]) * wide**2 / 2
    shapes = shapes + torch.where(away > 0, weights["length"][0], weights["length"][1]) * away**2 / 2
    answers = weights["net"] * torch.log(lines.probabilities + model.LEAST_PROBABILITY) + shapes
    whole = torch.where(lines.odds > 0, weights["whole"][0], weights["whole"][1]) * lines.odds
    return lines.measures @ weights["measures"] + answers.amax(dim=1) + whole


def _log_total(scores: Tensor, skips: Tensor, lines: _Lines) -> Tensor:
    """The logarithm of the sum over all groupings of each line, `(count,)`, by the forward algorithm."""
    table = torch.full((lines.count * lines.length * lines.most,), _NEVER).scatter(0, lines.place, scores)
    table = table.view(lines.count, lines.length, lines.most)
    totals = [torch.zeros(lines.count)]
    for end in range(1, lines.length + 1):
        ways = [totals[end - 1] + skips[:, end - 1]]
        ways += [totals[end - size] + table[:, end - size, size - 1] for size in range(1, min(lines.most, end) + 1)]
        totals.append(torch.logsumexp(torch.stack(ways), dim=0))
    return totals[-1]


def _losses(weights: dict[str, Tensor], lines: _Lines) -> Tensor:
    """How unlikely the true groupings are, nats `(count,)`."""
    scores = _group_scores(weights, lines)
    skips = (lines.skips @ weights["skip"]).masked_fill(lines.is_padding, 0.0)
    true_scores, true_skips = scores.masked_fill(~lines.is_digit, _NEVER), skips.masked_fill(lines.must, _NEVER)
    return _log_total(scores, skips, lines) - _log_total(true_scores, true_skips, lines)


def fit_field(
    lines: Sequence[LineExample], start: SegmentWeights, steps: int
) -> tuple[SegmentWeights, tuple[float, float]]:
    """Make the true groupings of lines as likely as possible.

    Args:
        lines: examples; those that are not sound, or whose truth is no possible grouping, are left out.
        start: the weights to begin with; its network stays.
        steps: of L-BFGS (Liu and Nocedal 1989), at most.

    Returns:
        The fitted weights, and the mean loss before and after, nats a line.
    """
    sound = [line for line in lines if line.is_sound]
    table = _Lines(sound, start.network)
    begun = {
        name: torch.from_numpy(values.copy())
        for name, values in start.tensors().items()
        if not name.startswith(model.NETWORK_PREFIX)
    }
    weights = {name: values.clone().requires_grad_() for name, values in begun.items()}
    optimizer = torch.optim.LBFGS(list(weights.values()), max_iter=steps, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        pull = sum((((values - begun[name]) ** 2).sum() for name, values in weights.items()), torch.zeros(()))
        total = _losses(weights, table).clamp(max=_MOST_LOSS).mean() + _PULL * pull
        total.backward()  # type: ignore[no-untyped-call]
        return total

    possible = _losses(begun, table) < -_NEVER / 2
    table = _Lines([line for line, is_possible in zip(sound, possible, strict=True) if is_possible], start.network)
    before = float(_losses(begun, table).mean())
    optimizer.step(objective)  # type: ignore[no-untyped-call]
    after = float(_losses(weights, table).mean().detach())
    fitted = from_tensors(start.tensors() | {name: _array(values) for name, values in weights.items()})
    return fitted, (before, after)
