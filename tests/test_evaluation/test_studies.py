"""Evaluation per study, against a loop over studies and scikit-learn."""

import sys

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.pairing import aligned, load_predictions
from mlrfnet_mm.evaluation.files.studies import pool_studies
from mlrfnet_mm.evaluation.metrics import StudyAUC
from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

CLASSES = ('No Finding', 'Edema', 'Fracture', 'Atelectasis', 'Pneumonia')
META = dict(
    classes=CLASSES, scored=('Atelectasis', 'Edema', 'Fracture'),
    dataset='CheXpert', protocol='held-out', split='valid',
)  # fmt: skip


def make(studies=40, seed=0):
    """Rows (study, patient, view, scores, labels), shuffled; Fracture has no positive."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(studies):
        labels = (rng.random(len(CLASSES)) < 0.4).astype(np.float32)
        labels[2] = 0
        labels[4] = np.nan if s % 7 == 0 else labels[4]
        name = f'patient{s // 2:05d}/study{s % 2 + 1}'
        views = ['Frontal', 'Frontal', 'Lateral'][: 1 + s % 3]
        rows += [
            (name, name.split('/')[0], view, rng.random(len(CLASSES), np.float32), labels)
            for view in views
        ]
    return [rows[i] for i in rng.permutation(len(rows))]


def to_samples(rows):
    samples = []
    for i, (study, patient, view, scores, labels) in enumerate(rows):
        image = f'{study}/view{i}_{view.lower()}.jpg'
        meta = dict(
            img_path=f'/data/{image}', image_id=image, patient_id=patient, study_id=study, view=view
        )
        sample = DataSample(metainfo=meta).set_pred_score(torch.tensor(scores))
        samples.append(sample.set_gt_score(torch.tensor(labels)).to_dict())
    return samples


def evaluate(samples, meta=META, **kwargs):
    metric = StudyAUC(**kwargs)
    metric.dataset_meta = meta
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def by_hand(rows, pool):
    """Scores and labels, one row a study, by a loop."""
    groups = {}
    for study, _, _, scores, labels in rows:
        groups.setdefault(study, ([], labels))[0].append(scores)
    scores = np.stack([pool(np.stack(part), axis=0) for part, _ in groups.values()])
    return list(groups), scores, np.stack([labels for _, labels in groups.values()])


def auc(scores, labels, k):
    known = ~np.isnan(labels[:, k])
    return roc_auc_score(labels[known, k], scores[known, k])


@pytest.mark.parametrize('pool', ['max', 'mean'])
def test_pooling_equals_a_loop_over_studies(pool):
    rows = make()
    studies, _, _, scores, labels = map(np.array, zip(*rows, strict=True))
    names, expected, expected_labels = by_hand(rows, dict(max=np.max, mean=np.mean)[pool])
    found, found_labels, first = pool_studies(scores, labels, studies, pool)
    assert studies[first].tolist() == names
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found_labels, expected_labels)
    assert found.dtype == scores.dtype


def test_images_of_a_study_with_other_labels_are_refused():
    labels = np.array([[0, 1], [0, 1], [0, np.nan]])
    with pytest.raises(ValueError, match='study a: its images have labels 1 and nan of class 1'):
        pool_studies(np.zeros((3, 2)), labels, np.array(['a', 'b', 'a']))
    with pytest.raises(ValueError, match="pool must be one of max, mean, got 'median'"):
        pool_studies(np.zeros((3, 2)), labels, np.array(['a', 'b', 'c']), 'median')


def test_keys_are_per_study_and_the_mean_is_over_the_scored():
    rows = make()
    result = evaluate(to_samples(rows))
    _, scores, labels = by_hand(rows, np.max)
    for k in (0, 1, 3, 4):
        assert result[f'auc/{CLASSES[k]}'] == pytest.approx(auc(scores, labels, k))
    assert np.isnan(result['auc/Fracture'])  # scored, without positives: left out, not zero
    assert result['auc/mean'] == pytest.approx(
        (auc(scores, labels, 1) + auc(scores, labels, 3)) / 2
    )
    _, means, _ = by_hand(rows, np.mean)
    images = [np.stack([row[i] for row in rows]) for i in (3, 4)]
    frontal = [np.stack([row[i] for row in rows if row[2] == 'Frontal']) for i in (3, 4)]
    for key, pair in {
        'study_mean': (means, labels), 'image': images, 'frontal': frontal,
    }.items():  # fmt: skip
        expected = (auc(*pair, 1) + auc(*pair, 3)) / 2
        assert result[f'auc/{key}/mean'] == pytest.approx(expected), key


def test_the_table_has_all_readings_side_by_side(monkeypatch):
    said = []
    module = sys.modules['mlrfnet_mm.evaluation.metrics.metrics']
    monkeypatch.setattr(module, 'print_log', lambda text, **_: said.append(text))
    rows = make()
    result = evaluate(to_samples(rows))
    (output,) = said
    assert max(map(len, output.splitlines())) <= 120
    frontal = sum(row[2] == 'Frontal' for row in rows)
    title = f'CheXpert held-out/valid: AUC; 40 studies, {len(rows)} images, {frontal} of them'
    assert title in output
    lines = {line.split('  ')[1]: line for line in output.splitlines() if line.startswith('  ')}
    assert lines['Edema *'].split()[3] == f'{result["auc/Edema"]:.4f}'
    assert lines['Fracture *'].split()[2:] == ['0', *4 * ['undefined']]
    assert '*' not in lines['Pneumonia']
    mean = lines['mean of the 3 *, without 1 undefined'].split()[-4:]
    keys = ('mean', 'study_mean/mean', 'image/mean', 'frontal/mean')
    assert mean == [f'{result[f"auc/{key}"]:.4f}' for key in keys]
    assert 'mean of all 5, without 1 undefined' in lines


def test_without_scored_classes_the_mean_is_over_all():
    meta = {k: v for k, v in META.items() if k != 'scored'}
    result = evaluate(to_samples(make()), meta)
    values = [result[f'auc/{name}'] for name in CLASSES]
    assert result['auc/mean'] == pytest.approx(np.nanmean(values))


@pytest.mark.parametrize('missing', ['study_id', 'view'])
def test_a_pipeline_that_drops_study_or_view_is_refused(missing):
    samples = [{k: v for k, v in s.items() if k != missing} for s in to_samples(make(4))]
    with pytest.raises(ValueError, match=r'no study_id or no view.*meta_keys of PackInputs'):
        evaluate(samples)


@pytest.fixture
def saved(tmp_path):
    rows = make()
    evaluate(to_samples(rows), out=str(tmp_path / 'p.npz'))
    return rows, tmp_path / 'p.npz'


def test_saved_predictions_keep_images_studies_and_views(saved):
    rows, path = saved
    predictions = load_predictions(path)  # refuses image names that are there twice
    assert len(predictions.images) == len(rows) and predictions.unit == 'image'
    assert predictions.images[3].startswith(rows[3][0] + '/view3_')
    assert predictions.studies.tolist() == [row[0] for row in rows]
    assert predictions.views.tolist() == [row[2] for row in rows]
    assert predictions.in_mean.tolist() == [False, True, True, True, False]
    study = load_predictions(path, 'auto')
    names, scores, _ = by_hand(rows, np.max)
    assert study.images.tolist() == names and study.unit == 'study'
    assert study.patients.tolist() == [name.split('/')[0] for name in names]
    np.testing.assert_array_equal(study.scores, scores)


def test_pairing_moves_studies_and_views_along(saved):
    _, path = saved
    first = load_predictions(path)
    order = np.random.default_rng(1).permutation(len(first.images))
    names = ('scores', 'labels', 'images', 'patients', 'studies', 'views')
    moved = {name: getattr(first, name)[order] for name in names}
    second = Predictions(**{**vars(first), **moved})
    back = aligned(first, second)
    for name in names:
        np.testing.assert_array_equal(getattr(back, name), getattr(first, name))


def test_statistics_agree_with_the_metric(saved):
    rows, path = saved
    result = evaluate(to_samples(rows))
    statistics = evaluate_predictions(
        load_predictions(path, 'auto'), choose_on_test=True,
        against=load_predictions(path, 'auto'), replicates=100,
    )  # fmt: skip
    table, points, paired = statistics.tables
    assert statistics.stamp['studies'] == 40 and statistics.stamp['patients'] == 20
    assert 'per study' in table.title
    mean = table.records[-1]
    assert mean['finding'] == 'mean of the 3 scored'
    assert mean['auc'] == pytest.approx(result['auc/mean'])
    assert paired.records[-1]['auc'] == pytest.approx(result['auc/mean'])
    macro = points.records[-1]['sensitivity']
    each = [record['sensitivity'] for record in points.records[:-1]]
    assert macro == pytest.approx((each[1] + each[3]) / 2)


@pytest.mark.parametrize('unit', ['study', 'image'])
def test_the_tool_takes_the_unit(saved, run, unit):
    rows, path = saved
    flags = [] if unit == 'study' else ['--unit', unit]
    output = run(sys.executable, 'tools/evaluate.py', path, '--replicates', '100', *flags).stdout
    count = 'studies 40' if unit == 'study' else f'images {len(rows)}'
    assert f'split valid, {count}, patients 20' in output


def test_predictions_without_studies_cannot_be_read_per_study(saved, tmp_path):
    _, path = saved
    plain = Predictions(**{**vars(Predictions.load(path)), 'studies': None, 'views': None})
    plain.save(tmp_path / 'plain.npz')
    with pytest.raises(ValueError, match='no study_id to evaluate per study'):
        load_predictions(tmp_path / 'plain.npz', 'study')
    with pytest.raises(ValueError, match='frontal ones are not known'):
        plain.frontal()
    assert load_predictions(tmp_path / 'plain.npz', 'auto').unit == 'image'


def test_a_study_is_pooled_by_its_maximum_unless_asked_otherwise():
    scores = np.array([[0.2], [0.6]])
    assert pool_studies(scores, np.ones((2, 1)), np.array(['a', 'a']))[0] == 0.6


@pytest.mark.parametrize('missing', ['study_id', 'view'])
def test_one_image_without_study_or_view_is_refused(missing):
    samples = to_samples(make(4))
    del samples[1][missing]
    with pytest.raises(ValueError, match='no study_id or no view'):
        evaluate(samples)


def test_frontal_is_neither_lateral_nor_other():
    views = np.array(['Frontal', 'Lateral', 'Other'] * 2)
    names = np.array([f'{i}.png' for i in range(6)])
    frontal = Predictions(
        np.zeros((6, 2)), np.zeros((6, 2)), names, names, np.array(['Edema', 'Mass']),
        'MIMIC-CXR official/test', views=views, studies=np.array(list('aaabbb')),
    ).frontal()  # fmt: skip
    assert frontal.images.tolist() == ['0.png', '3.png']
    assert frontal.studies.tolist() == ['a', 'b'] and frontal.views.tolist() == ['Frontal'] * 2
    assert len(frontal.scores) == len(frontal.labels) == len(frontal.patients) == 2
