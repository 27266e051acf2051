"""The precision that a processor trains in fastest."""

import torch

_BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


def training_precision() -> torch.autocast:
    """
    Compute in bfloat16 where the processor multiplies it, else in float32.

    The weights, their gradients and the optimizer's state stay float32 (Micikevicius et al. 2018, "Mixed
    Precision Training"); bfloat16 has float32's range, so losses need no scaling.
    """
    able = any(torch.cpu.get_capabilities().get(name) for name in _BFLOAT16)
    return torch.autocast("cpu", torch.bfloat16, enabled=able)
