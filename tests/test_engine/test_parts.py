"""One class by all the names that a config may call it."""

import pytest
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmpretrain.models import ImageClassifier

from mlrfnet_mm.datasets.transforms import XrayGeometry
from mlrfnet_mm.engine.parts import is_part, leaf_datasets, part_class
from mlrfnet_mm.evaluation.metrics import MultiLabelAUC, StudyAUC
from mlrfnet_mm.registry import METRICS as OURS


@pytest.mark.parametrize(
    ('root', 'kind', 'scope', 'expected'),
    [
        (MODELS, 'mmpretrain.ImageClassifier', None, ImageClassifier),
        (MODELS, 'ImageClassifier', 'mmpretrain', ImageClassifier),
        (MODELS, ImageClassifier, None, ImageClassifier),
        (MODELS, 'ImageClassifier', 'mlrfnet_mm', None),
        (TRANSFORMS, 'mlrfnet_mm.XrayGeometry', 'mmpretrain', XrayGeometry),
        (TRANSFORMS, 'XrayGeometry', 'mlrfnet_mm', XrayGeometry),
        (METRICS, 'MultiLabelAUC', 'mlrfnet_mm', MultiLabelAUC),
        (DATASETS, 'os.path.join', 'mmpretrain', None),
        (DATASETS, 'antigravity.fly', 'mmpretrain', None),
        (DATASETS, None, None, None),
    ],
)
def test_part_class(root, kind, scope, expected):
    assert part_class(root, kind, scope) is expected


def test_the_root_s_own_parts_are_found_from_every_scope():
    for scope in (None, 'mmpretrain', 'mlrfnet_mm', 'mmengine'):
        assert part_class(DATASETS, 'RepeatDataset', scope).__name__ == 'RepeatDataset'


def test_subclasses_count():
    @OURS.register_module(force=True)
    class MyAUC(StudyAUC):
        pass

    assert is_part(METRICS, 'mlrfnet_mm.MyAUC', None, MultiLabelAUC)
    assert not is_part(METRICS, 'mlrfnet_mm.MeanLoss', None, MultiLabelAUC)


def test_leaves_of_wrappers():
    leaf = dict(type='A')
    nested = dict(
        type='ConcatDataset', datasets=[leaf, dict(type='RepeatDataset', times=2, dataset=leaf)]
    )
    assert list(leaf_datasets(nested)) == [leaf, leaf]
    assert list(leaf_datasets(None)) == []
