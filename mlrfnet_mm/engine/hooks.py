"""Plain checkpoints, early stopping that survives a resume, repeatable draws, finite losses."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.logging import HistoryBuffer
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.utils import apply_to

from mlrfnet_mm.datasets.draws import tell_copies
from mlrfnet_mm.engine.machine import parts
from mlrfnet_mm.models.fold_batch_norm import fold_batch_norm
from mlrfnet_mm.registry import HOOKS

VALIDATED = 'validated_epoch'  # the last epoch with a validation, in each checkpoint
REPLACED = 'replaced_best'  # best checkpoints that a better one has taken the place of


def not_finite(state: Mapping[str, Any]) -> str | None:
    """Name of the first tensor with a NaN or an infinity; None where there is none."""
    floats = (
        (name, x) for name, x in state.items() if torch.is_tensor(x) and x.is_floating_point()
    )
    return next((name for name, x in floats if not x.isfinite().all()), None)


def check_rule(key: str, rule: str | None) -> None:
    """Refuse to keep the worst: a loss is better when less, an AUC when greater.

    Raises:
        ValueError: no explicit rule (mmengine guesses from words in the key), or the wrong one.
    """
    expected = 'less' if 'loss' in key else 'greater' if key.startswith('auc/') else rule
    if rule not in ('less', 'greater') or rule != expected:
        raise ValueError(f'{key!r} needs rule={expected or "less or greater"!r}, got rule={rule!r}')


@HOOKS.register_module()
class PlainCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, but the files hold tensors and plain containers only.

    So ``torch.load(path)`` of torch 2.6 and later, whose default is weights-only, opens them, as
    do mmpretrain's own tools. What is in the way in mmengine's files is the log history (class
    ``HistoryBuffer``), written as tensors here and built again at resume, and numpy's scalars.

    With training by epochs, an epoch's checkpoint is written once more after its validation
    (mmengine does so only if it was the best): so a resume knows the best score and the
    early-stopping count of that epoch. A resume from a checkpoint whose validation was lost, as
    the run was killed before its end, begins with that validation. The previous best checkpoint
    is removed only after the new one is written (mmengine removes it before), and weights that
    are not finite are not written at all. A resume into another work directory leaves the best
    checkpoint of the old one alone.

    Args:
        rule: ``'less'`` or ``'greater'`` for ``save_best``, or one for each of its keys.
        **kwargs: see mmengine's CheckpointHook.

    Raises:
        ValueError: ``save_best`` without the ``rule`` that fits it.
    """

    def __init__(self, *, rule: str | list[str] | None = None, **kwargs: Any) -> None:
        self.best_ckpt_path, self.best_ckpt_path_dict = None, {}  # mmengine sets one of them
        super().__init__(rule=rule, **kwargs)
        if self.save_best is not None:
            for key, key_rule in zip(self.key_indicators, self.rules, strict=True):
                check_rule(key, key_rule if rule else None)  # without a rule mmengine guesses

    def before_train(self, runner: Runner) -> None:
        """Forget a best checkpoint of another folder, and make up for what a kill has cost."""
        super().before_train(runner)
        best = self.best_ckpt_path
        if best and os.path.dirname(best) != str(self.out_dir):
            self.best_ckpt_path = None
        self._remove_replaced(runner)
        if self._validation_was_lost(runner):
            runner.logger.info(f'Epoch {runner.epoch} was not validated before the resume: now')
            self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
            runner.val_loop.run()

    def _validation_was_lost(self, runner: Runner) -> bool:
        """Whether the loop would have validated after the epoch that a resume starts from."""
        loop = runner.train_loop
        if not self.by_epoch or not runner.epoch or runner.val_loop is None:
            return False
        due = runner.epoch % loop.val_interval == 0 or runner.epoch == loop.max_epochs
        validated = runner.message_hub.runtime_info.get(VALIDATED, 0)
        return due and runner.epoch >= loop.val_begin and validated < runner.epoch

    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def _best_paths(self) -> set[str]:
        paths = {self.best_ckpt_path, *self.best_ckpt_path_dict.values()}
        return {path for path in paths if path}

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save as mmengine does, but remove the previous best after that, not before."""
        before = self._best_paths()
        single, several = self.best_ckpt_path, dict(self.best_ckpt_path_dict)
        self.best_ckpt_path, self.best_ckpt_path_dict = None, dict.fromkeys(several)
        # in the checkpoint, too: a kill before the removal leaves it to the resume
        runner.message_hub.update_info(REPLACED, sorted(before))
        super()._save_best_checkpoint(runner, metrics)
        self.best_ckpt_path = self.best_ckpt_path or single
        for key, path in several.items():
            self.best_ckpt_path_dict[key] = self.best_ckpt_path_dict[key] or path
        self._remove_replaced(runner)

    def _remove_replaced(self, runner: Runner) -> None:
        """Remove earlier best checkpoints of this run that are the best no more."""
        replaced = runner.message_hub.runtime_info.get(REPLACED, [])
        for path in set(replaced) - self._best_paths() if is_main_process() else ():
            if os.path.dirname(path) == str(self.out_dir) and self.file_backend.isfile(path):
                self.file_backend.remove(path)
                runner.logger.info(f'The previous best checkpoint {path} is removed')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn log histories into tensors and numpy's scalars into Python's.

        Raises:
            FloatingPointError: weights that are not finite.
        """
        if (name := not_finite(checkpoint['state_dict'])) is not None:
            raise FloatingPointError(
                f'{name} of the model is not finite after iteration {runner.iter}: nothing is '
                'saved; the last checkpoint is still good. Lower the learning rate, or wrap a loss '
                "over unknown labels: dict(type='mlrfnet_mm.MaskedLoss', loss=…)"
            )
        for key in checkpoint.keys() - {'state_dict'}:
            checkpoint[key] = apply_to(
                checkpoint[key], lambda x: isinstance(x, np.generic), lambda x: x.item()
            )
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            key: dict(zip(('log', 'count'), map(torch.as_tensor, buffer.data), strict=True))
            for key, buffer in hub['log_scalars'].items()
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Build the log histories again; a file that mmengine wrote (trusted) has them already."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for key, value in scalars.items():
            if isinstance(value, dict):
                scalars[key] = HistoryBuffer(value['log'].tolist(), value['count'].tolist())

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint, then the epoch's again with what validation added."""
        if not hasattr(self, 'file_backend'):
            return  # a validation by itself, outside a training
        runner.message_hub.update_info(VALIDATED, runner.epoch)
        best_before = runner.message_hub.runtime_info.get('best_ckpt')
        super().after_val_epoch(runner, metrics)
        name = os.path.join(str(self.out_dir), self.filename_tmpl.format(runner.epoch))
        of_this_epoch = self.last_ckpt == name
        saved_again = runner.message_hub.runtime_info.get('best_ckpt') != best_before
        if self.by_epoch and of_this_epoch and not saved_again:
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, runner.epoch, meta)


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


@HOOKS.register_module()
class SeedDrawsHook(Hook):
    """Augmentation and soft labels that depend on seed, epoch and image alone.

    So they are the same for any number of workers and processes, and a resumed run goes on as the
    whole one would have. Works on data sets with ``set_draws`` (all of this project's), also inside
    mmengine's wrappers, whose copies of an image get draws of their own; others are left alone. In
    training by iterations, which has no epochs, the draws come from the workers' own generators.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the data sets seed and epoch, before the workers begin with them."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        for dataset in parts(runner.train_dataloader.dataset):
            tell_copies(dataset)
            if hasattr(dataset, 'set_draws'):
                dataset.set_draws(runner.seed, runner.epoch)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop a training whose loss is no number, at its first iteration and every ``interval``.

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
