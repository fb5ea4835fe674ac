"""A classifier that learns from a trained one as well: smaller networks for the same findings."""

import pickle
from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mlrfnet_mm import config_file
from mlrfnet_mm.models.channels import build_model
from mlrfnet_mm.models.classifiers.ten_crop import logit_of_mean
from mlrfnet_mm.registry import MODELS

UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, KeyError)
TEACHER_KEYS = {'config', 'checkpoint', 'sha256'}


@MODELS.register_module()
class DistillingClassifier(ImageClassifier):
    """mmpretrain's ImageClassifier whose training loss has a term of a frozen teacher.

    Its parameters and checkpoints are those of the student; prediction needs no teacher. The
    teacher is read when training begins, stays in evaluation mode without gradient, sees the
    student's batches (normalised as it was trained) and is not in the state dict. Its logits are
    taken as they are: the scores of absent findings of one trained with biased focal loss crowd
    near the loss's shift, and the student's will.

    Args:
        teacher: ``config`` (a file, or the name of a shipped one) and ``checkpoint`` (a file, or a
            pattern that one file has, as ``work_dirs/mlrfnet_xray14/best_*.pth``). A list of
            checkpoints is an ensemble: the mean of their probabilities. Weights only are loaded.
            ``sha256`` is for :class:`mlrfnet_mm.SafeRunner`, which notes the files' digests there.
        distillation: the config of a loss of (student's logits, teacher's logits).
        level_weight: weight v of v · Σ mean (σ μ - σ μ')² over the levels of equal size of student
            and teacher, whose heads then must have score maps; 0 leaves it out.
        options: those of mmpretrain's ImageClassifier: ``backbone``, ``neck``, ``head``, …

    Raises:
        ValueError: other keys in ``teacher``; at the start of the training, a pattern of several
            files, weights that do not fit; in training, no level of equal size.
        FileNotFoundError: at the start of the training, no such config or checkpoint.
    """

    def __init__(
        self,
        teacher: Mapping[str, Any],
        distillation: dict | nn.Module | None = None,
        level_weight: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not {'config', 'checkpoint'} <= set(teacher) <= TEACHER_KEYS:
            raise ValueError(
                f"teacher needs the keys 'config' and 'checkpoint', got {sorted(teacher)}"
            )
        self.teacher = dict(teacher)
        loss = distillation or dict(type='mlrfnet_mm.MultiLabelDistillationLoss')
        self.distillation = loss if isinstance(loss, nn.Module) else MODELS.build(loss)
        self.level_weight = level_weight
        self._teachers: tuple[Any, ...] = ()  # in a tuple: no children, not in the state dict

    def init_weights(self) -> None:
        """Initialise the student; a teacher that is missing is missed here, not after an epoch."""
        super().init_weights()
        self.load_teacher()

    def teacher_files(self) -> list[Path]:
        """The checkpoint files of the teacher.

        Raises:
            FileNotFoundError: no such file.
            ValueError: several files of a pattern.
        """
        names = self.teacher['checkpoint']
        files = []
        for name in [names] if isinstance(names, str) else names:
            found = sorted(glob(name))
            if not found:
                raise FileNotFoundError(
                    f'no checkpoint {Path(name).absolute()} of the teacher: train it with mlrfnet '
                    f'train {self.teacher["config"]}, or set model.teacher.checkpoint'
                )
            if len(found) > 1:
                raise ValueError(
                    f'{name} is {len(found)} files, {found[0]} and {found[1]} among them: set '
                    'model.teacher.checkpoint to one of them, or to a list for an ensemble'
                )
            files.append(Path(found[0]))
        return files

    def load_teacher(self) -> None:
        """Build the teacher and load its weights.

        Raises:
            FileNotFoundError: no config or checkpoint.
            ValueError: a checkpoint that holds more than weights, or does not fit.
        """
        name = str(self.teacher['config'])
        cfg = Config.fromfile(name if Path(name).is_file() else config_file(name))
        self._teachers = tuple(_load(cfg, file) for file in self.teacher_files())
        names = ', '.join(map(str, self.teacher_files()))
        print_log(f'Teacher: {name}, {names}', logger='current')

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """The head's losses and ``loss_distillation``, ``loss_levels`` with a level weight."""
        if not self._teachers:  # a resumed training initialises nothing
            self.load_teacher()
        feats = self.extract_feat(inputs)
        losses: dict[str, Tensor] = self.head.loss(feats, data_samples)
        with torch.no_grad():
            known = [self._teach(teacher, inputs) for teacher in self._teachers]
            logits = torch.stack([teacher.head(f).float() for teacher, f in known])
            target = logits[0] if len(logits) == 1 else logit_of_mean(logits)
        losses['loss_distillation'] = self.distillation(self.head(feats), target)
        if self.level_weight:
            gaps = [self._levels(feats, teacher, f) for teacher, f in known]
            losses['loss_levels'] = self.level_weight * torch.stack(gaps).mean()
        return losses

    def _teach(self, teacher: Any, inputs: Tensor) -> tuple[Any, Any]:
        """The teacher and its features of the batch, normalised with its numbers."""
        (mean, std), (mean_t, std_t) = map(_normalization, (self, teacher.to(inputs.device)))
        return teacher, teacher.extract_feat((inputs * std + mean - mean_t) / std_t)

    def _levels(self, feats: Any, teacher: Any, theirs: Any) -> Tensor:
        """Sum over levels of equal size of the mean square gap of the maps' probabilities."""
        if not hasattr(self.head, 'score_maps') or not hasattr(teacher.head, 'score_maps'):
            raise ValueError(
                f'level_weight needs heads with score maps, got {type(self.head).__name__} and '
                f'{type(teacher.head).__name__}: take mlrfnet_mm.MRFCHead, or level_weight=0'
            )
        with torch.no_grad():
            by_size = {tuple(x.shape[2:]): x for x in teacher.head.score_maps(theirs)}
        maps = self.head.score_maps(feats)
        pairs = [(x, by_size[tuple(x.shape[2:])]) for x in maps if tuple(x.shape[2:]) in by_size]
        if not pairs:
            raise ValueError(
                f'no level of the student ({[tuple(x.shape[2:]) for x in maps]}) has the size of '
                f'one of the teacher ({list(by_size)}): set level_weight=0'
            )
        return torch.stack([(x.sigmoid() - t.sigmoid()).square().mean() for x, t in pairs]).sum()


def _load(cfg: Config, file: Path) -> nn.Module:
    """One teacher, frozen."""
    model = build_model(cfg.model)
    try:
        content = torch.load(file, map_location='cpu', weights_only=True)
        state: Mapping[str, Tensor] = content.get('state_dict', content)
        model.load_state_dict({key.removeprefix('module.'): x for key, x in state.items()})
    except UNREADABLE as error:
        reason = str(error).partition('\n')[0]
        raise ValueError(
            f'{file} cannot teach: it is not a plain checkpoint of {cfg.filename}: {reason}'
        ) from error
    model.eval()
    return model.requires_grad_(False)


def _normalization(model: Any) -> tuple[Tensor | float, Tensor | float]:
    """Mean and standard deviation that a classifier's preprocessor takes."""
    by = model.data_preprocessor
    return (by.mean, by.std) if by._enable_normalize else (0.0, 1.0)
