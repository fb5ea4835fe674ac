"""The control that must fail: each finding's labels permuted over the images of a split."""

import numpy as np
import pytest

from mlrfnet_mm.datasets import ChestXray14, CheXpert
from mlrfnet_mm.datasets.phantom import write_chexpert_phantom


@pytest.fixture(scope='module')
def chexpert(tmp_path_factory):
    root = tmp_path_factory.mktemp('phantom') / 'chexpert'
    write_chexpert_phantom(root, patients=54, size=32, seed=0, workers=1)
    return root


@pytest.fixture(params=['chestxray14', 'chexpert'])
def make(request, phantom):
    """A data set by its options."""
    if request.param == 'chestxray14':
        return lambda **options: ChestXray14(str(phantom), **options)
    root = request.getfixturevalue('chexpert')
    return lambda **options: CheXpert(str(root), policy='U-Ignore', **options)


def labels(dataset):
    return np.stack([dataset.get_data_info(i)['gt_score'] for i in range(len(dataset))])


def test_columns_are_permuted_each_for_itself(make):
    plain, shuffled = make(), make(shuffle_labels=3)
    before, after = labels(plain), labels(shuffled)
    np.testing.assert_array_equal(np.sort(after, 0), np.sort(before, 0))
    moved = (np.nan_to_num(after, nan=2) != np.nan_to_num(before, nan=2)).any(1)
    assert moved.mean() > 0.1
    rows = {row.tobytes() for row in before}
    assert not {row.tobytes() for row in after} <= rows  # not the images as a whole
    assert [item['img_path'] for item in plain] == [item['img_path'] for item in shuffled]
    np.testing.assert_array_equal(labels(make(shuffle_labels=3)), after)
    assert not np.array_equal(labels(make(shuffle_labels=4)), after, equal_nan=True)


def test_the_stamp_says_so(make):
    name = make().metainfo['dataset']
    assert make(shuffle_labels=0).metainfo['dataset'] == f'shuffled labels of {name}'
    part = make(shuffle_labels=0, indices=3)
    assert part.metainfo['dataset'] == f'part of shuffled labels of {name}'
    np.testing.assert_array_equal(labels(part), labels(make(shuffle_labels=0))[:3])


@pytest.mark.parametrize('seed', [True, -1, 0.5, '0'])
def test_a_seed_is_a_whole_number(make, seed):
    with pytest.raises(ValueError, match='shuffle_labels is a seed'):
        make(shuffle_labels=seed)
