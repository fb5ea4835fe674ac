"""Fine-tuning on other findings: what a classifier knows of a finding goes to its name's place."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mlrfnet_mm.evaluation.metrics.synonyms import finding

HEAD = 'head.'


def rows_by_name(
    state: dict[str, Tensor], model: nn.Module, old: Sequence[str], new: Sequence[str]
) -> None:
    """Give each finding of a model the rows that a checkpoint has under its name, in place.

    In the head, a dimension that counts the checkpoint's findings there and the model's here is one
    of findings: the first of a classifier's weight and bias, both of a coupling matrix. Rows of
    findings that the checkpoint does not have stay as the model was initialized, and so do buffers
    of that form, as a label graph. All other tensors of ``state`` are left as they are, to fit the
    model or to be refused.

    Args:
        state: of the checkpoint.
        model: that is to load it, initialized.
        old: names of the checkpoint's findings, K.
        new: names of the model's.
    """
    places = {finding(name): i for i, name in enumerate(old)}
    pairs = [(i, places[finding(name)]) for i, name in enumerate(new) if finding(name) in places]
    to, fro = (torch.tensor([pair[k] for pair in pairs], dtype=torch.long) for k in (0, 1))
    parameters = {name for name, _ in model.named_parameters()}
    for key, mine in model.state_dict().items():
        theirs = state.get(key)
        if not key.startswith(HEAD) or theirs is None or theirs.ndim != mine.ndim:
            continue
        sizes = list(zip(theirs.shape, mine.shape, strict=True))[:2]
        found = [size == (len(old), len(new)) for size in sizes]
        if len(old) == len(new):
            found[1:] = [found[0] and other for other in found[1:]]  # a width may be K by chance
        if not any(found):
            continue
        result = mine.detach().clone()
        if key in parameters:
            theirs = theirs.to(result)
            if all(found) and len(found) == 2:
                result[to[:, None], to] = theirs[fro[:, None], fro]
            elif found[0]:
                result[to] = theirs[fro]
            else:
                result[:, to] = theirs[:, fro]
        state[key] = result


class FindingRowsHook(Hook):
    """Applies :func:`rows_by_name` to a checkpoint before it is loaded, and logs what is new.

    A checkpoint that does not name its findings, or names the same ones in the same order, is left
    as it is. :class:`mlrfnet_mm.SafeRunner` registers the hook for a training with ``load_from``.

    Args:
        classes: findings of the training data.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the rows in place."""
        old = (checkpoint.get('meta', {}).get('dataset_meta') or {}).get('classes')
        if not old or tuple(old) == self.classes:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = checkpoint['state_dict']
        for key in [key for key in state if key.startswith('module.')]:
            state[key.removeprefix('module.')] = state.pop(key)
        rows_by_name(state, model, old, self.classes)
        known = {finding(name) for name in old}
        taken = [name for name in self.classes if finding(name) in known]
        fresh = [name for name in self.classes if name not in taken]
        runner.logger.info(
            'Fine-tuning on other findings. Rows of the classifier taken over by name: '
            f'{", ".join(taken) or "none"}; new, as initialized: {", ".join(fresh) or "none"}'
        )
