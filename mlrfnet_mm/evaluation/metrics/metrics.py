"""mmengine metrics; the numbers come from functions on arrays."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.structures import label_to_onehot

from mlrfnet_mm.evaluation.areas.auc import auc_table, mean_defined, roc_auc
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.files.studies import side_by_side
from mlrfnet_mm.registry import METRICS


@METRICS.register_module()
class MultiLabelAUC(BaseMetric):
    """AUC of every class and their mean: keys ``auc/<Class>`` and ``auc/mean``.

    A class with one label value only is undefined: its key is NaN, it is left out of the mean, and
    the log names it. The table goes to the log at the end of each evaluation. Labels are
    ``gt_score`` (K,), 0 or 1, or the numbers of the positive classes in ``gt_label``.

    Args:
        out: file (``.npz``) for the :class:`~mlrfnet_mm.evaluation.Predictions`.
        collect_device: see mmengine's BaseMetric.
        prefix: see mmengine's BaseMetric.
        collect_dir: see mmengine's BaseMetric.
        checkpoint: digest of the checkpoint, for ``out``.
    """

    default_prefix = 'auc'

    def __init__(
        self,
        out: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
        checkpoint: str = '',
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.out = out
        self.checkpoint = checkpoint

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep score (K,), label (K,), path, and what is known of each sample and its patient."""
        for sample in data_samples:
            path, scores = sample['img_path'], sample['pred_score']
            labels = sample.get('gt_score')
            if labels is None:
                labels = label_to_onehot(sample['gt_label'], len(scores))
            self.results.append(
                (
                    scores.float().cpu().numpy(),
                    labels.float().cpu().numpy(),
                    path,
                    sample.get('image_id', Path(path).name),
                    str(sample.get('patient_id', '')),
                    sample.get('study_id', ''),
                    sample.get('view', ''),
                    str(sample.get('sex', '')),
                    sample.get('age'),
                )
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute on the samples of all processes."""
        predictions = self.gather(results)
        if self.out:
            predictions.save(self.out)
        return self.summarize(predictions)

    def gather(self, results: list) -> Predictions:
        """Put the samples of all processes together."""
        meta = self.dataset_meta or {}
        columns = zip(*results, strict=True)
        scores, labels, paths, images, patients, studies, views, sexes, ages = columns
        path, count = Counter(paths).most_common(1)[0]
        if count > 1:
            raise ValueError(
                f'{path} was evaluated {count} times; the sampler must not repeat images'
            )
        return Predictions(
            scores=np.stack(scores),
            labels=np.stack(labels),
            images=np.array(images),
            patients=np.array(patients),
            classes=np.array(meta.get('classes', [f'class {k}' for k in range(len(scores[0]))])),
            stamp='{dataset} {protocol}/{split}'.format_map(defaultdict(lambda: '?', meta)),
            studies=np.array(studies) if all(studies) else None,
            views=np.array(views) if all(views) else None,
            sexes=np.array(sexes) if any(sexes) else None,
            ages=_years(ages),
            scored=np.array(meta['scored']) if 'scored' in meta else None,
            checkpoint=self.checkpoint,
        )

    def summarize(self, predictions: Predictions) -> dict[str, float]:
        """Log the table and return the keys."""
        aucs = roc_auc(predictions.scores, predictions.labels)
        title = f'{predictions.stamp}: AUC, {len(predictions.images):,} images'
        table = auc_table(aucs, predictions.labels, predictions.classes.tolist(), title)
        print_log('\n' + table, logger='current')
        return dict(mean=mean_defined(aucs)) | dict(
            zip(predictions.classes.tolist(), aucs.tolist(), strict=True)
        )


def _years(ages: Sequence[float | None]) -> np.ndarray | None:
    """(N,) float with NaN where an age is not known; ``None`` if none is."""
    years = np.array([np.nan if age is None else age for age in ages], float)
    return None if np.isnan(years).all() else years


@METRICS.register_module()
class StudyAUC(MultiLabelAUC):
    """AUC per study, as CheXpert is scored, next to the AUC per image and of frontal images.

    ``auc/<Class>`` and ``auc/mean`` are per study, with the maximum of its views' scores, and the
    mean is over the classes that the data set's ``scored`` names (over all if it names none). The
    means of the other readings are ``auc/study_mean/mean`` (mean of the views' scores),
    ``auc/image/mean`` and ``auc/frontal/mean``. The log has all classes and readings in one table.
    An undefined class is NaN and left out, as in :class:`MultiLabelAUC`.

    The pipeline must hand on ``study_id`` and ``view`` (``PackInputs.meta_keys``). ``out`` saves
    one row an image, with studies and views.

    Raises:
        ValueError: samples without study or view, and labels that differ within a study.
    """

    def summarize(self, predictions: Predictions) -> dict[str, float]:
        """Log the readings side by side and return the keys."""
        if predictions.studies is None or predictions.views is None:
            raise ValueError(
                f'StudyAUC: images of {predictions.stamp} have no study_id or no view; take a data '
                'set that gives them and put both into meta_keys of PackInputs, or take '
                'mlrfnet_mm.MultiLabelAUC'
            )
        study, frontal = predictions.per_study(), predictions.frontal()
        parts = {
            'study, maximum': study,
            'study, mean': predictions.per_study('mean'),
            'image': predictions,
            'frontal image': frontal,
        }
        aucs = {header: roc_auc(part.scores, part.labels) for header, part in parts.items()}
        classes, in_mean = predictions.classes.tolist(), predictions.in_mean
        title = (
            f'{predictions.stamp}: AUC; {len(study.images):,} studies, '
            f'{len(predictions.images):,} images, {len(frontal.images):,} of them frontal'
        )
        positives = np.nansum(study.labels, axis=0)
        print_log('\n' + side_by_side(title, classes, positives, aucs, in_mean), logger='current')
        by_study, *others = (mean_defined(values[in_mean]) for values in aucs.values())
        keys = ('study_mean/mean', 'image/mean', 'frontal/mean')
        return (
            dict(mean=by_study)
            | dict(zip(classes, aucs['study, maximum'].tolist(), strict=True))
            | dict(zip(keys, others, strict=True))
        )


@METRICS.register_module()
class MeanLoss(BaseMetric):
    """``val/loss``: mean over the images of the loss that :class:`mlrfnet_mm.LossValLoop` gave."""

    default_prefix = 'val'

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep one loss per image."""
        for sample in data_samples:
            if 'loss' not in sample:
                raise ValueError("MeanLoss needs val_cfg=dict(type='mlrfnet_mm.LossValLoop')")
            self.results.append(sample['loss'])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average."""
        return dict(loss=float(np.mean(results)))
