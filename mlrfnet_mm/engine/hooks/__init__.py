"""Hooks, one per file."""

from mlrfnet_mm.engine.hooks.checkpoint import PlainCheckpointHook
from mlrfnet_mm.engine.hooks.early_stopping import ResumableEarlyStoppingHook
from mlrfnet_mm.engine.hooks.ema import ExactEMAHook
from mlrfnet_mm.engine.hooks.finite_loss import FiniteLossHook
from mlrfnet_mm.engine.hooks.fuse_batch_norm import FuseBatchNormHook
from mlrfnet_mm.engine.hooks.seed_draws import SeedDrawsHook

__all__ = [
    'ExactEMAHook',
    'FiniteLossHook',
    'FuseBatchNormHook',
    'PlainCheckpointHook',
    'ResumableEarlyStoppingHook',
    'SeedDrawsHook',
]
