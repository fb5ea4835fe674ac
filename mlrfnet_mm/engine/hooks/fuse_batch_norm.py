"""BatchNorm folded into the convolutions before a test."""

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mlrfnet_mm.models.fold_batch_norm import fold_batch_norm
from mlrfnet_mm.registry import HOOKS


@HOOKS.register_module()
class FuseBatchNormHook(Hook):
    """Fold each BatchNorm into the convolution before it, for a test run (``--fuse-conv-bn``).

    The same function to float rounding, with fewer passes over the features; compared on the first
    batch of the test, see :func:`~mlrfnet_mm.models.fold_batch_norm.fold_batch_norm`.
    """

    def before_test(self, runner: Runner) -> None:
        """Fold, after the checkpoint is loaded.

        Raises:
            RuntimeError: the folded network computes something else.
            ValueError: a hook holds a copy of the network, and would put its weights in place.
        """
        for hook in runner.hooks:
            if isinstance(hook, EMAHook) and getattr(hook, 'ema_model', None) is not None:
                raise ValueError(
                    f'the BatchNorms cannot be folded under {type(hook).__name__}, which exchanges '
                    'the weights for a test: take mlrfnet_mm.ExactEMAHook (the checkpoint holds '
                    'the average), or leave --fuse-conv-bn out'
                )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        inputs = model.data_preprocessor(next(iter(runner.test_dataloader)), False)['inputs']
        folded, found = fold_batch_norm(model, inputs[:, 0] if inputs.ndim == 5 else inputs)
        runner.logger.info(f'folded {folded} of {found} BatchNorms')
