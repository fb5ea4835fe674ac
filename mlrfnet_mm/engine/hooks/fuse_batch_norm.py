"""BatchNorm folded into the convolutions before a test."""

from mmengine.hooks import Hook
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
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        inputs = model.data_preprocessor(next(iter(runner.test_dataloader)), False)['inputs']
        folded, found = fold_batch_norm(model, inputs[:, 0] if inputs.ndim == 5 else inputs)
        runner.logger.info(f'folded {folded} of {found} BatchNorms')
