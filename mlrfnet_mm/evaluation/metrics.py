"""mmengine metrics; the numbers come from functions on arrays."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mlrfnet_mm.registry import METRICS

from .auc import auc_table, mean_defined, roc_auc
from .predictions import Predictions


@METRICS.register_module()
class MultiLabelAUC(BaseMetric):
    """AUC of every class and their mean: keys ``auc/<Class>`` and ``auc/mean``.

    A class with one label value only is undefined: its key is NaN, it is left out of the mean, and
    the log names it. The table goes to the log at the end of each evaluation.

    Args:
        out: file (``.npz``) for the :class:`~mlrfnet_mm.evaluation.Predictions`.
        collect_device: see mmengine's BaseMetric.
        prefix: see mmengine's BaseMetric.
        collect_dir: see mmengine's BaseMetric.
    """

    default_prefix = 'auc'

    def __init__(
        self,
        out: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.out = out

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep score (K,), label (K,), image and patient of each sample."""
        for sample in data_samples:
            self.results.append(
                (
                    sample['pred_score'].float().cpu().numpy(),
                    sample['gt_score'].float().cpu().numpy(),
                    sample['img_path'],
                    sample.get('patient_id', ''),
                )
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute on the samples of all processes."""
        meta = self.dataset_meta or {}
        scores, labels, paths, patients = zip(*results, strict=True)
        path, count = Counter(paths).most_common(1)[0]
        if count > 1:
            raise ValueError(
                f'{path} was evaluated {count} times; the sampler must not repeat images'
            )
        predictions = Predictions(
            scores=np.stack(scores),
            labels=np.stack(labels),
            images=np.array([Path(p).name for p in paths]),
            patients=np.array([str(p) for p in patients]),
            classes=np.array(meta.get('classes', [f'class {k}' for k in range(len(scores[0]))])),
            stamp='{dataset} {protocol}/{split}'.format_map(defaultdict(lambda: '?', meta)),
        )
        if self.out:
            predictions.save(self.out)
        aucs = roc_auc(predictions.scores, predictions.labels)
        title = f'{predictions.stamp}: AUC, {len(paths):,} images'
        table = auc_table(aucs, predictions.labels, predictions.classes.tolist(), title)
        print_log('\n' + table, logger='current')
        return dict(mean=mean_defined(aucs)) | dict(
            zip(predictions.classes.tolist(), aucs.tolist(), strict=True)
        )


@METRICS.register_module()
class MeanLoss(BaseMetric):
    """``val/loss``: mean over the images of the loss that :class:`mlrfnet_mm.LossValLoop` gave."""

    default_prefix = 'val'

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep one loss an image."""
        for sample in data_samples:
            if 'loss' not in sample:
                raise ValueError("MeanLoss needs val_cfg=dict(type='mlrfnet_mm.LossValLoop')")
            self.results.append(sample['loss'])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average."""
        return dict(loss=float(np.mean(results)))
