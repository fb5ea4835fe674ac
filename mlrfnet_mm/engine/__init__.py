"""What mmengine lacks for this project: a runner, a loop and hooks over its own."""

from .hooks import (
    FuseBatchNormHook,
    PlainCheckpointHook,
    ResumableEarlyStoppingHook,
    SeedDrawsHook,
)
from .loops import LossValLoop
from .runner import SafeRunner

__all__ = [
    'FuseBatchNormHook',
    'LossValLoop',
    'PlainCheckpointHook',
    'ResumableEarlyStoppingHook',
    'SafeRunner',
    'SeedDrawsHook',
]
