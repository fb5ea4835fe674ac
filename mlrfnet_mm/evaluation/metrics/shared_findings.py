"""A model tested on another data set: the findings that both have, by :mod:`.synonyms`.

ChestX-ray14 and CheXpert share seven: Atelectasis, Cardiomegaly, Consolidation, Edema, Effusion
(CheXpert: Pleural Effusion), Pneumonia and Pneumothorax.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from mlrfnet_mm.datasets.transforms.other_labels import OTHER
from mlrfnet_mm.evaluation.metrics.metrics import MultiLabelAUC, StudyAUC
from mlrfnet_mm.evaluation.metrics.synonyms import are_near, finding
from mlrfnet_mm.registry import METRICS


class Shared(NamedTuple):
    """Findings of both a model and a data set, in the order of the data set."""

    names: tuple[str, ...]  # as the data set has them; one that is near says the model's
    model: list[list[int]]  # columns of the model's scores; of several, the greatest counts
    data: list[int]  # columns of the data set's labels


def shared_findings(model: Sequence[str], data: Sequence[str], near: bool = False) -> Shared:
    """Match the classes of a model and of a data set by name.

    >>> shared_findings(['Effusion', 'Hernia'], ['Edema', 'Pleural Effusion'])
    Shared(names=('Pleural Effusion',), model=[[0]], data=[1])
    >>> shared_findings(['Nodule', 'Mass'], ['Nodule/Mass'], near=True)
    Shared(names=('Nodule/Mass (near Nodule, Mass)',), model=[[0, 1]], data=[0])

    Args:
        model: classes of the model's outputs.
        data: classes of the data set.
        near: take findings that are only near, too, where none is the same.

    Raises:
        ValueError: no class is in both.
    """
    shared = Shared((), [], [])
    close = []
    for k, name in enumerate(data):
        shown = name
        columns = [i for i, own in enumerate(model) if finding(own) == finding(name)]
        if not columns:
            columns = [i for i, own in enumerate(model) if are_near(own, name)]
            shown = f'{name} (near {", ".join(model[i] for i in columns)})'
            close += [shown] * bool(columns)
            columns = columns if near else []
        if columns:
            shared = Shared((*shared.names, shown), [*shared.model, columns], [*shared.data, k])
    if not shared.names:
        hint = f'; --near takes those that are only near: {", ".join(close)}' if close else ''
        raise ValueError(
            f'the model ({", ".join(model)}) and the data set ({", ".join(data)}) share no '
            f'finding{hint}'
        )
    return shared


class _SharedFindings(MultiLabelAUC):
    """Keeps the shared columns of each sample, and puts the training data into the stamp.

    Args:
        model_classes: names of the model's outputs.
        trained_on: stamp of what the model was trained on, as ``'CheXpert held-out/train'``.
        near: count findings that are only near, too; the stamp says so.
        same_images: the model has seen images of the data set; the stamp says so.
        **options: of the metric that it is mixed into.
    """

    def __init__(
        self,
        model_classes: Sequence[str],
        trained_on: str,
        near: bool = False,
        same_images: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.model_classes = tuple(model_classes)
        self.trained_on = trained_on
        self.near = near
        self.same_images = same_images

    def _share(self, data: Sequence[str]) -> Shared:
        return shared_findings(self.model_classes, data, self.near)

    @property
    def dataset_meta(self) -> dict | None:
        """The data set's, of the shared classes; its name says whose model is tested."""
        if self._dataset_meta is None:
            return None
        meta = {k: v for k, v in self._dataset_meta.items() if k != 'scored'}  # mean over all
        notes = [f'model of {self.trained_on}']
        notes += ['same images'] * self.same_images + ['near findings, too'] * self.near
        name = f'{meta["dataset"]} ({"; ".join(notes)})'
        return {**meta, 'classes': self._share(meta['classes']).names, 'dataset': name}

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        self._dataset_meta = meta

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep the shared columns.

        Raises:
            ValueError: the model has another number of outputs than ``model_classes``.
        """
        shared = self._share((self._dataset_meta or {})['classes'])
        super().process(data_batch, [self._narrow(sample, shared) for sample in data_samples])

    def _narrow(self, sample: Mapping[str, Any], shared: Shared) -> dict[str, Any]:
        outputs = len(sample['pred_score'])
        if outputs != len(self.model_classes):
            raise ValueError(
                f'the model has {outputs} outputs, its checkpoint names '
                f'{len(self.model_classes)} classes'
            )
        scores = torch.stack([sample['pred_score'][columns].max() for columns in shared.model])
        labels = sample[OTHER if OTHER in sample else 'gt_score'][shared.data]
        return {**sample, 'pred_score': scores, 'gt_score': labels}


@METRICS.register_module()
class SharedAUC(_SharedFindings):
    """:class:`MultiLabelAUC` over the findings that model and data set share."""


@METRICS.register_module()
class SharedStudyAUC(_SharedFindings, StudyAUC):
    """:class:`StudyAUC` over the findings that model and data set share; its mean is over all."""
