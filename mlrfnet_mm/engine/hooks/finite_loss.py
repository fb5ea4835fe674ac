"""A loss that is not a number ends the training."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mlrfnet_mm.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop a training whose loss is not a number, at its first iteration and every ``interval``.

    One NaN makes all weights NaN, and a training would go on with them to its end. With targets
    that are unknown (NaN) the cause is a loss that does not mask them.

    Args:
        interval: iterations between two looks; each waits for the device.
    """

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Look at the loss.

        Raises:
            FloatingPointError: it is NaN or infinite.
        """
        if runner.iter and not self.every_n_train_iters(runner, self.interval):
            return
        loss = (outputs or {}).get('loss')
        if loss is not None and not torch.as_tensor(loss).isfinite().all():
            raise FloatingPointError(
                f'the loss is {float(loss)} at iteration {runner.iter + 1}. If labels are unknown '
                "(policy U-Ignore), wrap the loss: dict(type='mlrfnet_mm.MaskedLoss', loss=…); "
                'else lower the learning rate'
            )
