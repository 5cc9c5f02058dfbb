"""The machine of a measurement, without which a time means nothing."""

import os
import platform
from typing import Any

import cpuinfo
import psutil

from qmoe.keys import versions

BUSY_PERCENT = 20.0


def describe() -> dict[str, Any]:
    """Return name, processor, memory, system and library versions of this machine, and its load."""
    return {
        "node": platform.node(),
        "processor": cpuinfo.get_cpu_info().get("brand_raw", platform.processor()),
        "logical_processors": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions("codecarbon", "numba", "numpy", "onnxruntime", "torch"),
        "busy_percent_before": psutil.cpu_percent(interval=1.0),
    }
