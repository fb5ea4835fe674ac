"""What mmengine lacks for this project: a runner, a loop and hooks over its own."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.engine.hooks import (
    ExactEMAHook,
    FiniteLossHook,
    FuseBatchNormHook,
    PlainCheckpointHook,
    ResumableEarlyStoppingHook,
    SeedDrawsHook,
)
from mlrfnet_mm.engine.loops import LossValLoop
from mlrfnet_mm.engine.machine import BFloat16OptimWrapper
from mlrfnet_mm.engine.runner import SafeRunner

__all__ = [
    'BFloat16OptimWrapper',
    'ExactEMAHook',
    'FiniteLossHook',
    'FuseBatchNormHook',
    'LossValLoop',
    'PlainCheckpointHook',
    'ResumableEarlyStoppingHook',
    'SafeRunner',
    'SeedDrawsHook',
]
