"""Random numbers as a function of (seed, epoch, sample index): what augmentation and sample order are drawn from.

A counter-based generator has no state: the numbers of a sample do not depend on the batch it sits in, on the number of
workers, processes or devices, nor on where a run was stopped. Every result is exact integer arithmetic until the last
step, so that all devices agree bit for bit.
"""

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_ORDER_STREAM = 0x4000  # of `permutation`; 0 is the geometric augmentation, 0x3000 upstrokes, from 0x5000 corruptions


def _mix(x: Tensor) -> Tensor:
    """Apply the finaliser of MurmurHash3 (32 bit, Appleby 2011) to int64 in [0, 2**32): a random-looking bijection."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _MASK
    return x ^ (x >> 16)


def _mix_int(x: int) -> int:
    """Return what `_mix` does to one value, for a Python integer."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _MASK
    return x ^ (x >> 16)


def _bits(seed: int, epoch: int, indices: Tensor, draws: int, stream: int) -> Tensor:
    """Return `(N, draws)` int64 in [0, 2**32), on the device of `indices`; arguments as in `uniform`."""
    key = 0
    for part in (seed & _MASK, seed >> 32, epoch, stream):
        key = _mix_int((key * 0x9E3779B1 + part + 0x7F4A7C15) & _MASK)
    sample = _mix((indices.to(torch.int64) & _MASK) ^ key)
    counter = torch.arange(draws, device=indices.device, dtype=torch.int64) * 0x9E3779B1 & _MASK
    return _mix(_mix((sample[:, None] + counter[None, :]) & _MASK) ^ key)


def uniform(seed: int, epoch: int, indices: Tensor, draws: int, stream: int = 0) -> Tensor:
    """Draw uniform numbers that belong to samples, not to batches.

    Args:
        seed: seed of the run, any non-negative integer.
        epoch: epoch, from 0.
        indices: `(N,)` int64, each sample's index in its data set.
        draws: how many numbers each sample gets.
        stream: which consumer draws; two consumers with different streams get independent numbers.

    Returns:
        `(N, draws)` float32 in [0, 1), on the device of `indices`; multiples of 2**-24.
    """
    return (_bits(seed, epoch, indices, draws, stream) >> 8).to(torch.float32) * 2.0**-24


def permutation(seed: int, epoch: int, n: int) -> Tensor:
    """Return the order of `n` training samples in one epoch, as `(n,)` int64 on the CPU.

    Samples are sorted by random 63-bit keys of their own, so that the order is the same with every version of torch,
    whose own generators take no more than 32 bits of a seed.
    """
    high, low = _bits(seed, epoch, torch.arange(n), 2, _ORDER_STREAM).unbind(dim=1)
    return torch.argsort((high << 31) | (low >> 1), stable=True)
