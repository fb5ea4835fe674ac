"""What mmengine lacks for this project: a runner, a loop and hooks over its own."""

from .hooks import (
    FiniteLossHook,
    FuseBatchNormHook,
    PlainCheckpointHook,
    ResumableEarlyStoppingHook,
    SeedDrawsHook,
)
from .loops import LossValLoop
from .runner import SafeRunner

__all__ = [
    'FiniteLossHook',
    'FuseBatchNormHook',
    'LossValLoop',
    'PlainCheckpointHook',
    'ResumableEarlyStoppingHook',
    'SafeRunner',
    'SeedDrawsHook',
]
