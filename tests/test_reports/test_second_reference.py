"""The same images by two references: matching, the tables, the real radiologists' labels."""

import csv
import gzip
from dataclasses import replace

import numpy as np
import pytest
from builders import make_predictions
from conftest import ROOT
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from mlrfnet_mm.commands.evaluate import main
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS as CLASSES
from mlrfnet_mm.evaluation import Predictions, bootstrap_auc, bootstrap_p, percentile_interval
from mlrfnet_mm.reports.scores.groups.reference_labels import read_reference
from mlrfnet_mm.reports.scores.groups.second_reference import (
    match_findings,
    second_reference_tables,
    shared_images,
)

REAL = ROOT.parent / 'shared/data/metadata/ChestX-ray14'
GOOGLE = 'Image Index,Patient ID,Set Id,Fracture,Pneumothorax,Airspace opacity,Nodule or mass'


@pytest.fixture
def files(tmp_path):
    """Predictions of Edema, Hernia and Mass, and a table of 150 of the 180 images and 5 others."""
    test = make_predictions(n=180)
    rng = np.random.default_rng(5)
    theirs = np.abs(test.labels[:, [0, 2]] - (rng.random((180, 2)) < 0.2)).astype(int)
    rows = [['note', 'Image', 'edema', 'Nodule or mass', 'Fracture']]
    for i in range(150):
        marks = ['', theirs[i, 1]] if i % 10 == 0 else list(theirs[i])
        rows.append(['x', test.images[i].removesuffix('.png') + '.dcm', *marks, 'YES'])
    rows += [['x', f'other_{i}', 0, 1, 'NO'] for i in range(5)]
    path = tmp_path / 'labels.csv'
    with path.open('w', newline='') as file:
        csv.writer(file).writerows(rows)
    known = theirs.astype(float)
    known[:150:10, 0] = np.nan
    return test, path, known[:150]


def test_columns_are_matched_by_name_and_joined_of_parts():
    found = match_findings(CLASSES, ('Fracture', 'pneumothorax', 'Airspace opacity', 'Nodule/Mass'))
    assert [(m.name, [CLASSES[k] for k in m.parts]) for m in found] == [
        ('pneumothorax', ['Pneumothorax']),
        (
            'Airspace opacity',
            ['Consolidation', 'Pneumonia', 'Infiltration', 'Atelectasis', 'Edema'],
        ),
        ('Nodule/Mass', ['Nodule', 'Mass']),
    ]
    (own,) = match_findings(['Nodule or mass', 'Nodule', 'Mass'], ['Nodule/Mass'])
    assert own.parts == [0] and own.joined is None, 'the model has the whole'


def test_the_tables(files):
    test, path, theirs = files
    areas, agreement = second_reference_tables(test, read_reference(str(path)), 120, 4)
    part = test.rows(np.arange(150))
    for row, record, at, column in (
        (0, areas.records[0], 0, 0),
        (1, areas.records[1], 2, 1),
    ):
        known = ~np.isnan(theirs[:, column])
        scores, own = part.scores[known, at], part.labels[known, at]
        other = theirs[known, column]
        assert record['n'] == known.sum() and record['positives'] == own.sum()
        assert record['positives_reference'] == other.sum()
        assert record['auc'] == pytest.approx(roc_auc_score(own, scores))
        assert record['auc_reference'] == pytest.approx(roc_auc_score(other, scores))
        masked = [np.where(known, y, np.nan) for y in (part.labels[:, at], theirs[:, column])]
        draws = [
            bootstrap_auc(part.scores[:, [at]], y[:, None], part.patients, 120, 4) for y in masked
        ]
        gaps = draws[1] - draws[0]
        ends = [record['difference_low'], record['difference_high']]
        np.testing.assert_allclose(ends, percentile_interval(gaps)[:, 0], rtol=1e-6)
        assert record['difference'] == record['auc_reference'] - record['auc'] < 0
        assert record['p_bootstrap'] == bootstrap_p(gaps)[0]
        assert agreement.records[row]['kappa'] == pytest.approx(cohen_kappa_score(own, other))
        assert agreement.records[row]['both'] == (own * other).sum()
    assert areas.records[1]['auc by noisy-or'] == areas.records[1]['auc'], 'of a single part'
    notes = ' '.join(agreement.notes)
    assert 'Nodule or mass: ' in notes and 'without Nodule, which the model does not have' in notes
    assert 'no such finding: note, Fracture.' in notes
    assert '150 images of 50 patients that are in both' in areas.title


def test_few_positive_patients_have_no_test(files):
    test, path, _ = files
    test.labels[:, 0] = np.arange(180) % 45 == 0
    areas, agreement = second_reference_tables(test, read_reference(str(path)), 100)
    few, enough = areas.records
    assert np.isnan([few['difference_low'], few['p_bootstrap'], few['auc_reference_low']]).all()
    assert enough['p_bootstrap'] == enough['p_bootstrap_holm'], 'one test is left'
    assert np.isnan(agreement.records[0]['kappa_low'])
    assert not np.isnan(agreement.records[0]['sensitivity_low']), "Wilson's"
    assert 'either source: edema (2).' in ' '.join(areas.notes)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('image,Edema\ntest_001.png,2\n', "line 2: '2' in column 'Edema', which is 0, 1 or blank"),
        ('image,Edema\na,1\nb,0\na.png,1\n', 'line 4: a.png a second time'),
        ('image,Edema\n,1\n', 'line 2: no image'),
        ('file,Edema\na,1\n', "must be the image, .* its columns are 'file', 'Edema'"),
        (
            'image,Fracture\ntest_001.png,1\n',
            r'\(Edema, Hernia, Mass\) and t.csv \(Fracture\) share',
        ),
        ('image,Edema\nother.png,1\n', "share no image: .* like 'other', .* like 'test_000'"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, message):
    (tmp_path / 't.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        shared_images(make_predictions(), read_reference(str(tmp_path / 't.csv')))


def test_the_radiologists_labels_are_for_the_images_of_chestxray14(tmp_path):
    table = tmp_path / 'google2019_nih-chest-xray-labels.csv'
    table.write_text(f'{GOOGLE}\ntest_000.png,7,test,NO,NO,YES,NO\n')
    reference = read_reference('google2019', str(tmp_path))
    test = make_predictions()
    with pytest.raises(
        ValueError, match=r'line 2: image test_000 is of patient 7.* of test_0: these'
    ):
        shared_images(test, reference)
    phantom = replace(test, stamp='generated phantom official/test')
    with pytest.raises(ValueError, match="images of ChestX-ray14, .* are of 'generated phantom'"):
        shared_images(phantom, reference)
    shared = shared_images(replace(test, patients=np.full(90, '7')), reference)
    assert [m.name for m in shared.matches] == ['Airspace opacity', 'Nodule or mass']
    assert shared.reference.tolist() == [[1, 0]]
    np.testing.assert_allclose(shared.scores[0], test.scores[0, [0, 2]])
    with pytest.raises(FileNotFoundError, match='the argument data_root: put the table there'):
        read_reference('google2019', str(tmp_path / 'none'))
    with pytest.raises(ValueError, match='--data-root is for --labels google2019'):
        read_reference(str(table), str(tmp_path))


def test_the_command(files, tmp_path, capsys):
    test, path, _ = files
    test.save(tmp_path / 'test.npz')
    words = [str(tmp_path / 'test.npz'), '--replicates', '100']
    main([*words, '--labels', str(path), '--out-dir', str(tmp_path / 'out')])
    assert f'labels {path}' in capsys.readouterr().out
    assert {'second_reference.csv', 'label_agreement.csv'} <= {
        p.name for p in (tmp_path / 'out').iterdir()
    }
    with pytest.raises(ValueError, match='--data-root is for --labels'):
        main([*words, '--data-root', 'x'])


@pytest.fixture(scope='module')
def real_folder():
    if not (REAL / 'google2019_nih-chest-xray-labels.csv.gz').is_file():
        pytest.skip(f'the real label tables are not in {REAL}')
    return REAL


# Sensitivity and PPV of NIH's labels on Google's test set, counted by others to two decimals. One
# of the ends, 0.54, is 0.5347 by scipy for 574 of 1,135.
PUBLISHED = {
    'Pneumothorax': ((0.50, 0.43, 0.57), (0.49, 0.42, 0.55)),
    'Nodule or mass': ((0.45, 0.40, 0.51), (0.57, 0.50, 0.63)),
    'Airspace opacity': ((0.51, 0.48, 0.54), (0.77, 0.74, 0.80)),
}


def test_the_real_labels_agree_as_known(real_folder):
    with gzip.open(real_folder / 'Data_Entry_2017_v2020.csv.gz', 'rt') as file:
        rows = {row[0]: row for row in csv.reader(file)}
    names = (real_folder / 'test_list.txt').read_text().split()
    labels = np.array([np.isin(CLASSES, rows[name][1].split('|')) for name in names], np.float32)
    test = Predictions(
        scores=0.2 + 0.6 * labels,  # a model that has learned NIH's labels by heart
        labels=labels,
        images=np.array(names),
        patients=np.array([rows[name][3] for name in names]),
        classes=np.array(CLASSES),
        stamp='ChestX-ray14 official/test',
    )
    reference = read_reference('google2019', str(real_folder))
    areas, agreement = second_reference_tables(test, reference, 100)
    assert '1,962 images of 860 patients' in areas.title
    for record in agreement.records:
        for key, expected in zip(('sensitivity', 'PPV'), PUBLISHED[record['finding']], strict=True):
            found = [record[key], record[f'{key}_low'], record[f'{key}_high']]
            np.testing.assert_allclose(found, expected, atol=0.006)
    wilson = binomtest(574, 1135).proportion_ci(method='wilson')
    opacity = agreement.records[1]
    np.testing.assert_allclose([opacity['sensitivity_low'], opacity['sensitivity_high']], wilson)
    for record in areas.records:
        assert record['auc'] == 1 and 0.6 < record['auc_reference'] < 0.8
