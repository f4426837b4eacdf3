"""Look into a live network: one row per layer with its kind, output shape and parameter count.

A batch of one zero image goes through the network while hooks on the leaf modules take notes, so that the table says
what the network does, not what somebody wrote about it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class LayerRow:
    """One layer as it was met on the way through the network.

    Attributes:
        name: Path of the module in the network, such as `layer1.0`.
        kind: What it is, such as `Conv2d 1→32, k5`.
        does: What it does, in a few words.
        input_shape: Shape of one sample before the layer, without the batch.
        output_shape: Shape of one sample after the layer, without the batch.
        parameters: How many numbers it learns (0 when it was met before).
        window: Side of the square of the input that one output value sees, where the layer slides a window.
        dilation: Distance between the values taken inside the window.
    """

    name: str
    kind: str
    does: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    window: int | None = None
    dilation: int = 1

    @property
    def stage(self) -> str:
        """Name of the child of the network that the layer belongs to."""
        return self.name.split(".")[0]


def layer_table(network: nn.Module, input_shape: tuple[int, ...]) -> list[LayerRow]:
    """List the layers of a network in the order in which an image meets them.

    Operations that are not modules (a sum of two branches, `F.relu`) leave no row; a module that is used twice has two
    rows and its parameters count in the first. The network is left as it was: modes are restored, hooks removed.

    Args:
        network: Any network that takes a batch of `input_shape`.
        input_shape: Shape of one sample, such as (1, 28, 28).

    Returns:
        One row per use of a leaf module.
    """
    rows: list[LayerRow] = []
    counted: set[int] = set()

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            before, after = _shape(inputs), _shape(output)
            new = [p for p in module.parameters() if id(p) not in counted]
            counted.update(id(p) for p in new)
            window, dilation = _window(module)
            rows.append(
                LayerRow(
                    name=name or type(module).__name__.lower(),
                    kind=_kind(module),
                    does=_does(module, before, after),
                    input_shape=before,
                    output_shape=after,
                    parameters=sum(p.numel() for p in new),
                    window=window,
                    dilation=dilation,
                )
            )

        return hook

    modes = {module: module.training for module in network.modules()}
    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    handles = [module.register_forward_hook(note(name)) for name, module in leaves]
    like = next(network.parameters(), torch.empty(0))
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return rows


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as `32×24×24`."""
    return "×".join(map(str, shape)) or "1"


def _shape(value: Any) -> tuple[int, ...]:
    """Shape of the first tensor in a module's input or output, without the batch."""
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    return tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()


def _one(value: Any) -> Any:
    """A pair of equal numbers is written as one number."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return value[0]
    return value


def _number(value: Any) -> str:
    value = _one(value)
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _window(module: nn.Module) -> tuple[int | None, int]:
    if not isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        return None, 1
    kernel, dilation = _one(module.kernel_size), _one(getattr(module, "dilation", 1))
    if not isinstance(kernel, int) or not isinstance(dilation, int):
        return None, 1
    return dilation * (kernel - 1) + 1, dilation


def _sliding(module: Any) -> str:
    """Kernel, stride, padding and dilation in short, those with their usual value left out."""
    text = f"k{_number(module.kernel_size)}"
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    for name, value in usual.items():
        given = _one(getattr(module, name, value))
        if given != value or (name == "stride" and "Pool" in type(module).__name__):
            text += f", {name[0]}{_number(given)}"
    return text


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    if isinstance(module, nn.Conv2d):
        return f"{name} {module.in_channels}→{module.out_channels}, {_sliding(module)}"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        return f"{name} {_sliding(module)}"
    if isinstance(module, nn.Linear):
        return f"{name} {module.in_features}→{module.out_features}"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return f"{name} {module.num_features}"
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return f"{name} {module.p:g}"
    if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        return f"{name} to {_number(module.output_size)}"
    return name


def _does(module: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> str:
    if isinstance(module, nn.Conv2d):
        maps = "map" if module.in_channels == 1 else "maps"
        size = _number(module.kernel_size)
        size = size if "×" in size else f"{size}×{size}"
        return f"looks for {module.out_channels} patterns of {size} in {module.in_channels} {maps}"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        what = "largest" if isinstance(module, nn.MaxPool2d) else "mean"
        size = _number(module.kernel_size)
        size = size if "×" in size else f"{size}×{size}"
        dilation = _one(getattr(module, "dilation", 1))
        spread = f", every {_ordinal(dilation)} pixel" if dilation != 1 else ""
        return f"keeps the {what} of each {size} window{spread}"
    if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        return (
            "keeps the mean of each part"
            if isinstance(module, nn.AdaptiveAvgPool2d)
            else "keeps the largest of each part"
        )
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return "brings each map to a common scale"
    if type(module).__name__.startswith("Norm"):
        return "brings the pixels to a common scale"
    if isinstance(module, nn.ReLU):
        return "sets negative values to 0"
    if isinstance(module, nn.Flatten):
        return "lays all values in one row"
    if isinstance(module, nn.Linear):
        return f"makes {module.out_features:,} weighted sums of {module.in_features:,} values"
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return "while training: sets some values to 0 by chance"
    if isinstance(module, nn.Identity):
        return "passes everything on"
    return "" if before != after else "keeps the shape"


def _ordinal(number: Any) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{_number(number)}th")
