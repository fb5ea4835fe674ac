"""Two sets compared: every column against scipy and the functions, who is shuffled, alarms."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
from builders import make_predictions
from scipy.stats import chi2_contingency, ks_2samp

from mlrfnet_mm.evaluation import holm
from mlrfnet_mm.evaluation.shift.stability import index_of_counts, stability_index
from mlrfnet_mm.reports.shift.drift import drift, drift_tables
from mlrfnet_mm.reports.shift.images import measure, of_files
from mlrfnet_mm.reports.shift.sets import ImageSet, of_predictions


def people(p, seed, ap=0.3):
    rng = np.random.default_rng(seed)
    n = len(p.images)
    return replace(
        p,
        views=np.where(rng.random(n) < ap, 'AP', 'PA'),
        sexes=np.where(rng.random(n) < 0.4, 'F', 'M'),
        ages=rng.normal(50, 15, n).round(),
    )


@pytest.fixture(scope='module')
def sets():
    first, second = people(make_predictions('a', 150), 1), people(make_predictions('b'), 2, 0.9)
    first.ages[:7] = np.nan
    second.sexes[:5] = ''
    second.scores[:, 2] **= 3
    return first, second


@pytest.fixture(scope='module')
def tables(sets):
    return drift_tables(*(of_predictions(p, p.stamp) for p in sets), 199, 0)


def row(table, what):
    return next(record for record in table.records if record['what'] == what)


def test_numbers(sets, tables):
    first, second = sets
    for k, name in enumerate(first.classes.tolist()):
        found, a, b = row(tables[0], f'score: {name}'), first.scores[:, k], second.scores[:, k]
        assert found['distance'] == pytest.approx(ks_2samp(a, b).statistic)
        assert found['psi'] == pytest.approx(stability_index(a, b))
        assert found['mean_first'] == pytest.approx(a.mean())
        assert found['mean_second'] == pytest.approx(b.mean())
    age = row(tables[0], 'age')
    assert (age['n_first'], age['n_second']) == (143, 90)
    assert age['distance'] == pytest.approx(ks_2samp(first.ages[7:], second.ages).statistic)


def test_categories(sets, tables):
    view, sex = row(tables[0], 'view'), row(tables[0], 'sex')
    counts = np.array([[(p.views == v).sum() for v in ('AP', 'PA')] for p in sets])
    assert view['chi_square'] == pytest.approx(chi2_contingency(counts, correction=False).statistic)
    assert view['psi'] == pytest.approx(index_of_counts(*counts))
    shares = counts / counts.sum(1, keepdims=True)
    assert view['distance'] == pytest.approx(abs(shares[0, 0] - shares[1, 0]))
    assert sex['n_second'] == 85
    ap = tables[1].records[0]
    assert (ap['what'], ap['category']) == ('view', 'AP')
    assert (ap['share_first'], ap['share_second']) == pytest.approx(shares[:, 0])
    assert (ap['n_first'], ap['n_second']) == tuple(counts[:, 0])


def test_what_differs_is_named_after_holm_s_correction(tables, sets):
    table = tables[0]
    p = np.array([record['p_shuffled'] for record in table.records])
    corrected = [record['p_holm'] for record in table.records]
    np.testing.assert_array_equal(corrected, holm(p))
    found = drift(*(of_predictions(part, part.stamp) for part in sets), 199, 0)
    assert found.differing == ['score: Mass', 'view']
    assert found.sentence() == ('2 of 6 comparisons differ (p Holm < 0.05): view; scores of Mass.')
    assert '50 and 30 patients change sides as a whole' in table.notes[0]


def test_too_few_shuffles_for_so_many_comparisons_are_said(sets):
    parts = [of_predictions(part, part.stamp) for part in sets]
    assert 'take --replicates 600' in drift_tables(*parts, 99)[0].notes[-1]
    assert len(drift_tables(*parts, 199)[0].notes) == 2


def test_what_one_set_lacks_is_not_compared(sets):
    first, second = sets
    second = replace(second, ages=None, views=np.full(90, ''))
    tables = drift_tables(of_predictions(first, 'a'), of_predictions(second, 'b'), 99)
    assert [r['what'] for r in tables[0].records][3:] == ['sex']
    nothing = ImageSet('c', first.patients, {'brightness': np.ones(150)}, {})
    message = 'nothing that could be compared: the first has brightness, the second score: Edema,'
    with pytest.raises(ValueError, match=message):
        drift_tables(nothing, of_predictions(second, 'b'), 99)


def test_a_patient_of_both_sets_is_known_by_its_number(sets):
    """Were they taken for others, each of the two parts would change sides by itself."""
    first, second = (replace(p, patients=np.arange(len(p.images)).astype(str)) for p in sets)
    other = replace(second, patients=np.char.add('b', second.patients))
    found = [
        drift_tables(of_predictions(first, 'a'), of_predictions(p, 'b'), 99)[0]
        for p in (second, other)
    ]
    p = [[record['p_shuffled'] for record in table.records] for table in found]
    assert p[0] != p[1]
    assert '150 and 90 patients' in found[0].notes[0] and '; 90 are in both' in found[0].notes[0]
    assert 'are in both' not in found[1].notes[0]


def test_shuffled_halves_alarm_in_few_of_the_comparisons():
    """50 halvings of 60 patients with several images each: 5 % may alarm after Holm."""
    rng = np.random.default_rng(0)
    alarms = []
    for seed in range(50):
        index = np.repeat(np.arange(60), rng.integers(1, 7, 60))
        own = rng.standard_normal((60, 5))
        values = own[index] + 0.3 * rng.standard_normal((len(index), 5))
        side = (rng.permutation(60) < 30)[index]
        halves = [
            ImageSet(
                str(part),
                index[rows],
                {f'x{k}': values[rows, k] for k in range(4)},
                {'view': np.where(values[rows, 4] > 0, 'PA', 'AP')},
            )
            for part, rows in enumerate((side, ~side))
        ]
        alarms.append(bool(drift(*halves, 199, seed).differing))
    assert np.mean(alarms) <= 0.16  # 8 of 50: more with probability 0.001 if 5 % do


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        cv2.imwrite(str(tmp_path / f'{i}.png'), rng.integers(0, 256, (40, 30), np.uint8))
    return tmp_path


def test_gray_levels(folder):
    paths = sorted(map(str, folder.glob('*.png')))
    calls = []
    found = measure(paths, 2, lambda: calls.append(1))
    pixels = [cv2.imread(path, cv2.IMREAD_UNCHANGED).astype(float) for path in paths]
    np.testing.assert_allclose(found['brightness'], [p.mean() for p in pixels], rtol=1e-6)
    np.testing.assert_allclose(found['contrast'], [p.std() for p in pixels], rtol=1e-6)
    assert len(calls) == 6


def test_images_without_patients_are_shuffled_and_it_is_said(folder, sets):
    images = of_files(sorted(folder.glob('*.png')), 'folder')
    table = drift_tables(images, images, 19)[0]
    assert 'the patients are not known' in table.notes[0]
    assert [r['distance'] for r in table.records] == [0, 0]
    known = ImageSet('b', np.arange(6), images.numbers, {})
    with pytest.raises(ValueError, match='the patients of folder are not known'):
        drift_tables(images, known, 19)


def test_an_image_that_is_none_is_named(folder):
    (folder / 'x.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'x\.png'):
        of_files([folder / 'x.png'], 'folder')


def test_what_is_written(sets, tmp_path):
    found = drift(*(of_predictions(p, p.stamp) for p in sets), 199, 0)
    paths = found.write(tmp_path)
    assert [p.name for p in paths] == [
        'drift.html', 'drift.md', 'drift.csv', 'drift_categories.csv',
    ]  # fmt: skip
    with paths[2].open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert rows[0]['first'] == 'ChestX-ray14 official/a' and rows[0]['shuffles'] == '199'
    assert float(rows[0]['p_holm']) == found.tables[0].records[0]['p_holm']
    for page in paths[:2]:
        assert '2 of 6 comparisons differ' in page.read_text()
