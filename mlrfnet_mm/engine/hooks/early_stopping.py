"""Early stopping that survives a resume."""

from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from mlrfnet_mm.engine.hooks.rule import check_rule
from mlrfnet_mm.registry import HOOKS


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """mmengine's EarlyStoppingHook whose count and best score are kept in the checkpoint.

    mmengine's starts at zero after each resume. A run that had stopped for want of improvement
    stays stopped when it is resumed, unless ``patience`` was raised.

    Args:
        monitor: key of the metric, as ``'val/loss'`` or ``'auc/mean'``.
        rule: ``'less'`` or ``'greater'``; explicit, as mmengine's guess looks for words in the key.
        min_delta: least change that counts as better (mmengine's 0.1 is larger than a focal loss).
        patience: validations without improvement before the training stops.
        **kwargs: see mmengine's EarlyStoppingHook.
    """

    priority = 'LOW'  # before the CheckpointHook (VERY_LOW), which saves this state
    _key = 'early_stopping'

    def __init__(
        self, monitor: str, rule: str, min_delta: float = 0.0, patience: int = 3, **kwargs: object
    ) -> None:
        check_rule(monitor, rule)
        super().__init__(
            monitor, rule, min_delta=min_delta, patience=patience, strict=True, **kwargs
        )

    def before_run(self, runner: Runner) -> None:
        """Do nothing: mmengine's check here would build the training set for every test run."""

    def before_train(self, runner: Runner) -> None:
        """Take the state that a resume brought."""
        state = runner.message_hub.runtime_info.get(self._key)
        if state is None or state['monitor'] != self.monitor:
            return
        self.wait_count, self.best_score = state['wait_count'], state['best_score']
        if self.wait_count >= self.patience:
            runner.logger.info(
                f'The resumed run had stopped early: {self.monitor} had not improved on '
                f'{self.best_score:.5f} for {self.wait_count} validations.'
            )
            runner.train_loop.stop_training = True

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Count, and keep the count where checkpoints are made from."""
        super().after_val_epoch(runner, metrics)
        runner.message_hub.update_info(
            self._key,
            dict(monitor=self.monitor, wait_count=self.wait_count, best_score=self.best_score),
        )
