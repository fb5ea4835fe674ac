"""A validation loop that also computes the training loss."""

from collections.abc import Sequence

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import ValLoop
from mmengine.runner.amp import autocast

from mlrfnet_mm.registry import LOOPS


@LOOPS.register_module()
class LossValLoop(ValLoop):
    """mmengine's ValLoop that gives each sample its own loss, as the field ``loss``.

    It is the loss of the model's head, for each image alone: so :class:`mlrfnet_mm.MeanLoss`
    averages over images, whatever the size of the last batch and the number of processes. (mmengine
    averages over batches, on each process for itself.) Works with mmpretrain's ``ImageClassifier``
    and the heads of one tensor of logits; backbone, neck and head run once.
    """

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Predict one batch, with losses."""
        self.runner.call_hook('before_val_iter', batch_idx=idx, data_batch=data_batch)
        model = (
            self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        )
        head = model.head
        with autocast(enabled=self.fp16):
            data = model.data_preprocessor(data_batch, False)
            samples = data['data_samples']
            logits = head(model.extract_feat(data['inputs']))  # (N, K)
            # the two halves of mmpretrain's head.loss() and head.predict() after the forward pass
            per_image = [
                head._get_loss(logits[i : i + 1], [sample]) for i, sample in enumerate(samples)
            ]
            outputs = head._get_predictions(logits, samples)
        sums = [sum(v for k, v in terms.items() if 'loss' in k) for terms in per_image]
        for sample, loss in zip(outputs, torch.stack(sums).float().tolist(), strict=True):
            sample.set_field(loss, 'loss')
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            'after_val_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs
        )
