"""AdaBN: batch normalisation adapted to unlabelled images, without training and without a label.

A network that was trained on one kind of images and is shown another (blurred, foggy, thicker strokes) normalises its
features by statistics that no longer fit. Replacing them by those of the images it is shown is often most of the cure.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def has_batchnorm(network: nn.Module) -> bool:
    """Tell whether any layer of the network is a batch normalisation."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


@torch.no_grad()
def adapt_batchnorm(
    network: nn.Module, batches: Iterable[Tensor], reduce: Callable[[Tensor], Tensor] | None = None
) -> None:
    """Replace the running statistics of every batch normalisation by those of the given images, in place.

    One pass over all images; mean and variance are averaged over the batches, so that the answer for an image does not
    depend on the batch it is scored in afterwards. Everything else in the network behaves as in evaluation.

    Args:
        network: in evaluation mode; weights are not touched.
        batches: what the network is called with, `(B, …)` each, on its device.
        reduce: averages a tensor over all processes, where each of them sees a part of the images.

    Raises:
        ValueError: the network has no batch normalisation, or there is no batch.

    Source: Li et al. 2016, "Revisiting Batch Normalization For Practical Domain Adaptation", arXiv 1603.04779.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        raise ValueError("the network has no batch normalisation to adapt")
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    try:
        seen = 0
        for images in batches:
            network(images)
            seen += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    if not seen:
        raise ValueError("there are no images to adapt to")
    if reduce is not None:
        for norm in norms:
            for statistic in (norm.running_mean, norm.running_var):
                if statistic is not None:
                    statistic.copy_(reduce(statistic))
