"""Where a run took place: versions, processor, commit. Written into `results.json`, so that a number can be traced."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import torch
import torchmetrics

import mnist_lit


def git_commit() -> str | None:
    """Return the commit of the checkout that this package is in, with `+changes` if files differ; None elsewhere."""
    package = Path(mnist_lit.__file__).parent

    def git(*args: str) -> str:
        command = ["git", "-C", str(package), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # else some other project's repository around an install
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def processor_name() -> str:
    """Return the processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def environment(device: torch.device, precision: str) -> dict[str, Any]:
    """Return versions and hardware as plain data.

    Args:
        device: what the network ran on.
        precision: Lightning's name of the precision.
    """
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "mnist_lit": mnist_lit.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "torchmetrics": torchmetrics.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": device.type,
        "accelerator": accelerator,
        "precision": precision,
    }
