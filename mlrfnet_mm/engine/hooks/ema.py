"""An exponential moving average (EMA) of the weights: validated, saved, resumed as one thing."""

from typing import Any

from mmengine.dist import all_reduce_params, is_distributed
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.model import BaseAveragedModel
from mmengine.runner import BaseLoop, Runner

from mlrfnet_mm.registry import HOOKS


@HOOKS.register_module()
class ExactEMAHook(EMAHook):
    """mmengine's EMAHook, but the file of the best epoch holds just what was validated.

    Every validation, and with it the best checkpoint and early stopping, is of the average. A
    checkpoint has the average as ``state_dict``, so that ``mlrfnet test`` and ``predict`` take it,
    and the weights that are trained as ``ema_state_dict``, from which a resume goes on. Where
    mmengine's differs:

    - BatchNorm's running statistics are averaged with the weights, as timm does: those of the
      trained weights are of other features. (mmengine's ``update_buffers=False`` takes them.)
    - With several processes these statistics are made equal before they are saved and validated;
      mmengine's saves those of the first process and validates with the mean of all.
    - A resume loads strictly, and a test makes no second copy of the network.

    One line: ``custom_hooks=[dict(type='mlrfnet_mm.ExactEMAHook', momentum=1e-4)]``.

    Args:
        update_buffers: average the buffers, too; False copies them from the trained network.
        **options: see mmengine's EMAHook: ``momentum`` (1 - decay), ``begin_epoch``; with
            ``ema_type='MomentumAnnealingEMA'`` the momentum falls from 1, so that the first epochs
            are not an average of the initial weights.

    Raises:
        ValueError: a priority at which the checkpoint would be written before the weights are
            exchanged, when training begins.
    """

    ema_model: BaseAveragedModel | None = None

    def __init__(self, *, update_buffers: bool = True, **options: Any) -> None:
        super().__init__(strict_load=True, update_buffers=update_buffers, **options)
        self._equal = False  # the buffers of the processes

    def before_run(self, runner: Runner) -> None:
        """Copy the network at the start of a training; a test after it keeps the average."""
        if self.ema_model is None and isinstance(runner._train_loop, BaseLoop):
            super().before_run(runner)

    def before_train(self, runner: Runner) -> None:
        """Check where this hook stands.

        Raises:
            ValueError: behind the one that writes checkpoints.
        """
        super().before_train(runner)
        hooks = list(runner.hooks)  # by priority
        for hook in hooks[: hooks.index(self)]:
            if isinstance(hook, CheckpointHook):
                raise ValueError(
                    f'{type(self).__name__} has the priority {self.priority}, behind '
                    f'{type(hook).__name__}, which would save the trained weights as the average: '
                    'leave priority out'
                )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the average that a resume brings; other weights are averaged from the first step."""
        if self.ema_model is not None and runner._resume:
            super().after_load_checkpoint(runner, checkpoint)

    def after_train_epoch(self, runner: Runner) -> None:
        """Make the buffers equal, before the checkpoint of the epoch."""
        self._equalize()
        self._equal = True

    def before_val_epoch(self, runner: Runner) -> None:
        """Make the buffers equal where no epoch has ended, and put the average in place."""
        if not self._equal:
            self._equalize()
        self._equal = False
        super().before_val_epoch(runner)

    def _equalize(self) -> None:
        if self.ema_model is not None and is_distributed():
            all_reduce_params(self.ema_model.module.buffers(), op='mean')

    def _swap_ema_parameters(self) -> None:
        if self.ema_model is not None:
            super()._swap_ema_parameters()
