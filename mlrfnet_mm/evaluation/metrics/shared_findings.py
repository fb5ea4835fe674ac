"""A model tested on another data set: the findings that both have, by name.

ChestX-ray14 and CheXpert share seven: Atelectasis, Cardiomegaly, Consolidation, Edema, Effusion
(CheXpert: Pleural Effusion), Pneumonia and Pneumothorax.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlrfnet_mm.evaluation.metrics.metrics import MultiLabelAUC, StudyAUC
from mlrfnet_mm.registry import METRICS

SYNONYMS = {'Effusion': 'Pleural Effusion'}  # ChestX-ray14's name → CheXpert's


class Shared(NamedTuple):
    """Findings of both a model and a data set, in the order of the data set."""

    names: tuple[str, ...]  # as the data set has them
    model: list[int]  # columns of the model's scores
    data: list[int]  # columns of the data set's labels


def shared_findings(model: Sequence[str], data: Sequence[str]) -> Shared:
    """Match the classes of a model and of a data set by name.

    >>> shared_findings(['Effusion', 'Hernia'], ['Edema', 'Pleural Effusion'])
    Shared(names=('Pleural Effusion',), model=[0], data=[1])

    Raises:
        ValueError: no class is in both.
    """
    place = {SYNONYMS.get(name, name): i for i, name in enumerate(model)}
    pairs = [
        (name, place[SYNONYMS.get(name, name)], k)
        for k, name in enumerate(data)
        if SYNONYMS.get(name, name) in place
    ]
    if not pairs:
        raise ValueError(
            f'the model ({", ".join(model)}) and the data set ({", ".join(data)}) share no finding'
        )
    names, columns, labels = zip(*pairs, strict=True)
    return Shared(tuple(names), list(columns), list(labels))


class _SharedFindings(MultiLabelAUC):
    """Keeps the shared columns of each sample, and puts the training data into the stamp.

    Args:
        model_classes: names of the model's outputs.
        trained_on: stamp of what the model was trained on, as ``'CheXpert held-out/train'``.
        **options: of the metric that it is mixed into.
    """

    def __init__(self, model_classes: Sequence[str], trained_on: str, **options: Any) -> None:
        super().__init__(**options)
        self.model_classes = tuple(model_classes)
        self.trained_on = trained_on

    @property
    def dataset_meta(self) -> dict | None:
        """The data set's, of the shared classes; its name says whose model is tested."""
        if self._dataset_meta is None:
            return None
        meta = {k: v for k, v in self._dataset_meta.items() if k != 'scored'}  # mean over all
        shared = shared_findings(self.model_classes, meta['classes'])
        name = f'{meta["dataset"]} (model of {self.trained_on})'
        return {**meta, 'classes': shared.names, 'dataset': name}

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        self._dataset_meta = meta

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep the shared columns.

        Raises:
            ValueError: the model has another number of outputs than ``model_classes``.
        """
        shared = shared_findings(self.model_classes, (self._dataset_meta or {})['classes'])
        super().process(data_batch, [self._narrow(sample, shared) for sample in data_samples])

    def _narrow(self, sample: Mapping[str, Any], shared: Shared) -> dict[str, Any]:
        outputs = len(sample['pred_score'])
        if outputs != len(self.model_classes):
            raise ValueError(
                f'the model has {outputs} outputs, its checkpoint names '
                f'{len(self.model_classes)} classes'
            )
        scores, labels = sample['pred_score'][shared.model], sample['gt_score'][shared.data]
        return {**sample, 'pred_score': scores, 'gt_score': labels}


@METRICS.register_module()
class SharedAUC(_SharedFindings):
    """:class:`MultiLabelAUC` over the findings that model and data set share."""


@METRICS.register_module()
class SharedStudyAUC(_SharedFindings, StudyAUC):
    """:class:`StudyAUC` over the findings that model and data set share; its mean is over all."""
