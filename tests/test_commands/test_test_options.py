"""``mlrfnet test`` asks what a part is, not what it is called."""

from types import MethodType

import pytest
from builders import small_runner
from mmengine.registry import METRICS
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from torch import nn

from mlrfnet_mm.commands.test import average_crops, save_predictions
from mlrfnet_mm.evaluation.metrics import MultiLabelAUC
from mlrfnet_mm.models import TenCropClassifier


@METRICS.register_module()
class OwnAUC(MultiLabelAUC):
    pass


@MODELS.register_module()
class OwnClassifier(ImageClassifier):
    pass


def test_out_finds_a_subclass_of_the_metric(tmp_path):
    (tmp_path / 'x.pth').write_bytes(b'weights')
    runner = small_runner(
        tmp_path, test_evaluator=[dict(type='OwnAUC')], load_from=str(tmp_path / 'x.pth')
    )
    save_predictions(runner, str(tmp_path / 'p.npz'))
    (metric,) = runner.test_loop.evaluator.metrics
    assert metric.out == str(tmp_path / 'p.npz') and len(metric.checkpoint) == 12


def test_out_needs_such_a_metric(tmp_path):
    runner = small_runner(tmp_path, test_evaluator=[dict(type='mlrfnet_mm.MeanLoss')])
    with pytest.raises(ValueError, match=r"--out needs .* which has \['MeanLoss'\]"):
        save_predictions(runner, str(tmp_path / 'p.npz'))


def test_ten_crops_of_a_subclass_of_the_classifier(tmp_path):
    runner = small_runner(tmp_path, **{'model.type': 'OwnClassifier'})
    average_crops(runner)
    assert isinstance(runner.model.predict, MethodType)
    assert runner.model.predict.__func__ is TenCropClassifier.predict
    runner.model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match='need an mmpretrain.ImageClassifier, the model is Line'):
        average_crops(runner)
