"""The label tree of CheXpert: the real table's counts, and what each ``tree`` makes of a row."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from mlrfnet_mm.datasets import CheXpert
from mlrfnet_mm.datasets.published.chexpert.tables import (
    BLANK,
    FINDINGS,
    NEGATIVE,
    POSITIVE,
    SCORED,
    UNCERTAIN,
    read_table,
)
from mlrfnet_mm.datasets.published.chexpert.tree import (
    PARENTS,
    ancestors,
    given_ancestors,
    propagate_up,
)

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'metadata' / 'CheXpert'
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason='the CheXpert tables are not at hand')
HEADER = ','.join(['Path', 'Sex', 'Age', 'Frontal/Lateral', 'AP/PA', *FINDINGS])
CODES = dict(zip(('', '0.0', '1.0', '-1.0'), (BLANK, NEGATIVE, POSITIVE, UNCERTAIN), strict=True))
ROOTS = [name for name in FINDINGS if name not in PARENTS]


def labels(**named):
    """Texts of a row by finding, others blank; underscores for blanks."""
    by_name = {name.replace('_', ' '): value for name, value in named.items()}
    assert set(by_name) <= set(FINDINGS)
    return [by_name.get(name, '') for name in FINDINGS]


def dataset(tmp_path, values, **options):
    for name, patient in dict(train='patient00001', valid='patient90001').items():
        image = f'{name}/{patient}/study1/view1_frontal.jpg'
        (tmp_path / image).parent.mkdir(parents=True)
        (tmp_path / image).touch()
        line = [image, 'Male', '60', 'Frontal', 'AP']
        line += values if name == 'train' else 14 * ['0.0']
        (tmp_path / f'{name}.csv').write_text(f'{HEADER}\n{",".join(line)}\n')
    return CheXpert(
        str(tmp_path), **{'policy': 'U-Zeros', 'protocol': 'select-on-valid', **options}
    )


def target(tmp_path, values, **options):
    found = dataset(tmp_path, values, **options).get_data_info(0)['gt_score']
    return dict(zip(FINDINGS, found.tolist(), strict=True))


@needs_real
def test_the_real_table_s_counts():
    """Computed for the specification from train.csv by other code."""
    table = read_table(REAL / 'train.csv.gz')
    codes = np.frombuffer(b''.join(table.codes), np.uint8).reshape(-1, 14)
    assert len(codes) == 223_414
    positive = {name: codes[:, k] == POSITIVE for k, name in enumerate(FINDINGS)}
    raw = {name: int(p.sum()) for name, p in positive.items()}
    assert [raw[n] for n in ('Lung Opacity', 'Enlarged Cardiomediastinum', 'Consolidation')] == [
        105_581, 10_798, 14_783,
    ]  # fmt: skip
    orphans = {}
    for child in PARENTS:
        above = [positive[name] for name in ancestors(child)]
        orphans[child] = int((positive[child] & ~np.logical_and.reduce(above)).sum()), raw[child]
    assert orphans == {
        'Cardiomegaly': (25_099, 27_000),
        'Lung Lesion': (3_870, 9_186),
        'Edema': (24_791, 52_246),
        'Consolidation': (9_209, 14_783),
        'Pneumonia': (5_610, 6_039),
        'Atelectasis': (19_230, 33_376),
    }
    up = propagate_up(codes)
    inner = dict(zip(FINDINGS, (up == POSITIVE).sum(0).tolist(), strict=True))
    given = dict(zip(FINDINGS, given_ancestors(up).sum(0).tolist(), strict=True))
    for parent, count in {
        'Lung Opacity': 154_394, 'Enlarged Cardiomediastinum': 35_897, 'Consolidation': 19_808,
    }.items():  # fmt: skip
        assert inner[parent] == count
        assert {given[child] for child, p in PARENTS.items() if p == parent} == {count}
    assert all(given[name] == 223_414 for name in ROOTS)


def test_the_tree_is_that_of_the_paper():
    assert len(ROOTS) == 8 and set(PARENTS) | set(ROOTS) == set(FINDINGS)
    assert ancestors('Pneumonia') == ('Consolidation', 'Lung Opacity')
    assert ancestors('Fracture') == ()
    with pytest.raises(ValueError, match='circle: b → a → b'):
        ancestors('a', {'a': 'b', 'b': 'a'})


@pytest.mark.parametrize(
    ('opacity', 'consolidation', 'pneumonia'), list(itertools.product(CODES, repeat=3))
)
def test_every_row_of_a_path(opacity, consolidation, pneumonia):
    values = labels(
        Lung_Opacity=opacity, Consolidation=consolidation, Pneumonia=pneumonia, Fracture='-1.0'
    )
    codes = np.array([[CODES[v] for v in values]], np.uint8)
    before = codes.copy()
    up = dict(zip(FINDINGS, propagate_up(codes)[0].tolist(), strict=True))
    np.testing.assert_array_equal(codes, before)
    below = pneumonia == '1.0'
    assert up['Pneumonia'] == CODES[pneumonia]
    assert up['Consolidation'] == (POSITIVE if below else CODES[consolidation])
    below |= consolidation == '1.0'
    assert up['Lung Opacity'] == (POSITIVE if below else CODES[opacity])
    assert up['Fracture'] == UNCERTAIN and up['Edema'] == BLANK
    given = dict(zip(FINDINGS, given_ancestors(propagate_up(codes))[0].tolist(), strict=True))
    assert given['Consolidation'] == given['Edema'] == (below or opacity == '1.0')
    assert given['Pneumonia'] == (pneumonia == '1.0' or consolidation == '1.0')
    assert all(given[name] for name in ROOTS) and not given['Cardiomegaly']


def test_up_changes_the_ancestors_of_positives_only(tmp_path):
    values = labels(Pneumonia='1.0', Lung_Opacity='-1.0', Cardiomegaly='-1.0', Edema='0.0')
    plain = target(tmp_path / 'a', values)
    up = target(tmp_path / 'b', values, tree='up')
    assert {k for k in FINDINGS if plain[k] != up[k]} == {'Consolidation', 'Lung Opacity'}
    assert up['Consolidation'] == up['Lung Opacity'] == 1
    # an uncertain child moves nothing, not even where its own target becomes 1
    ones = target(tmp_path / 'c', values, tree='up', policy='U-Ones')
    assert (ones['Cardiomegaly'], ones['Enlarged Cardiomediastinum']) == (1, 0)


def test_conditional_knows_what_stands_under_positives_only(tmp_path):
    values = labels(Edema='1.0', Enlarged_Cardiomediastinum='-1.0', Cardiomegaly='0.0')
    found = target(tmp_path, values, tree='conditional', policy='U-Ones')
    unknown = {name for name, y in found.items() if np.isnan(y)}
    assert unknown == {'Pneumonia', 'Cardiomegaly'}  # an uncertain parent is not positive
    assert found['Lung Opacity'] == found['Edema'] == found['Enlarged Cardiomediastinum'] == 1
    assert found['Consolidation'] == 0  # under a positive parent


def test_soft_labels_are_drawn_as_without_a_tree(tmp_path):
    values = labels(Edema='-1.0', Lung_Opacity='1.0', Pneumonia='-1.0', Fracture='-1.0')
    data = dataset(tmp_path / 'draws', values, tree='conditional', policy='LSR-Ones')
    other = dataset(tmp_path / 'none', values, policy='LSR-Ones')
    for d in (data, other):
        d.set_draws(0, 0)
    a, b = (dict(zip(FINDINGS, d.get_data_info(0)['gt_score'], strict=True)) for d in (data, other))
    assert 0.55 < a['Edema'] < 0.85
    assert a['Edema'] == b['Edema'] and a['Fracture'] == b['Fracture']
    assert np.isnan(a['Pneumonia']) and not np.isnan(b['Pneumonia'])


def test_the_policy_names_the_tree(tmp_path):
    data = dataset(tmp_path, labels(Edema='1.0'), tree='up')
    assert data.metainfo['policy'] == 'U-Zeros, tree up'
    assert 'Lung Opacity 1 (0)' in data._summary


def test_wrong_trees_are_refused(tmp_path):
    with pytest.raises(ValueError, match="tree must be one of up, conditional or None, got 'down'"):
        dataset(tmp_path / 'a', labels(), tree='down')
    with pytest.raises(ValueError, match="tree='up' needs classes='all', got 'scored'"):
        dataset(tmp_path / 'b', labels(), tree='up', classes='scored')
    assert not set(PARENTS.values()) <= set(SCORED)
