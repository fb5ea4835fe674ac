"""Plain checkpoints, written so that a kill at any moment loses nothing."""

import os
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.utils import apply_to

from mlrfnet_mm.engine.checkpoint import not_finite_weights
from mlrfnet_mm.engine.hooks.rule import check_rule
from mlrfnet_mm.registry import HOOKS

VALIDATED = 'validated_epoch'  # the last epoch with a validation, in each checkpoint
REPLACED = 'replaced_best'  # best checkpoints that a better one has taken the place of


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
            runner.logger.info(
                f'Epoch {runner.epoch} was not validated before the resume: validating it now'
            )
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
        if (name := not_finite_weights(checkpoint)) is not None:
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
        """Build the log histories again; a file that mmengine wrote (trusted) has them already.

        Raises:
            ValueError: the weights that would be trained on are an average of such.
        """
        averaging = any(isinstance(hook, EMAHook) for hook in runner.hooks)
        if runner._resume and 'ema_state_dict' in checkpoint and not averaging:
            raise ValueError(
                'the checkpoint is of a training that averaged its weights (EMA), and the config '
                'has no such hook: resume with the config of that training, or begin a new one '
                'from the average with load_from'
            )
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
