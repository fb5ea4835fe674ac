"""Tables that compare models, against the functions on arrays; the two commands on small files."""

from dataclasses import replace

import numpy as np
import pytest
from builders import changed, make_predictions, other_model
from scipy.stats import t as student
from scipy.stats import ttest_ind

from mlrfnet_mm.commands import compare, evaluate
from mlrfnet_mm.evaluation import bootstrap_auc, choose_thresholds, holm, mean_defined, roc_auc
from mlrfnet_mm.evaluation.comparison.margin import margin_test
from mlrfnet_mm.evaluation.comparison.mcnemar import clustered_mcnemar
from mlrfnet_mm.evaluation.comparison.power import ASSUMED, smallest_differences
from mlrfnet_mm.reports.scores.comparison.power import power_table
from mlrfnet_mm.reports.scores.comparison.seeds import compare_models
from mlrfnet_mm.reports.scores.comparison.two_models import (
    comparison_tables,
    margin_table,
    rate_tables,
)

TEST, VAL = make_predictions(), make_predictions('val', seed=1)
DEFINED = [0, 2]  # Hernia has no positives


def noisy(p, seed, size=0.2):
    noise = np.random.default_rng(seed).standard_normal(p.scores.shape) * size
    return replace(p, scores=np.clip(p.scores + noise, 0, 1).astype(np.float32))


def shuffled(p):
    return p.rows(np.random.default_rng(0).permutation(len(p.images)))


def test_each_model_is_called_at_thresholds_of_its_own():
    other, other_val = shuffled(other_model(TEST)), other_model(VAL)
    tables = rate_tables(TEST, other, (VAL, other_val), replicates=100)
    cuts = [choose_thresholds(p.scores, p.labels)[2] for p in (VAL, other_val)]
    called = [p.scores[:, 2] >= cut for p, cut in zip((TEST, other_model(TEST)), cuts, strict=True)]
    patients = np.unique(TEST.patients, return_inverse=True)[1]
    for table, value in zip(tables, (1, 0), strict=True):
        rows = TEST.labels[:, 2] == value
        right = [(calls == value)[rows] for calls in called]
        record = table.records[2]
        assert [record['rate'], record['rate_against']] == [r.mean() for r in right]
        assert [record['threshold'], record['threshold_against']] == cuts
        gaps = np.bincount(patients[rows], right[0].astype(int) - right[1])
        assert record['p_rate'] == clustered_mcnemar(gaps)
        p = np.array([r['p_rate'] for r in table.records[:-1]])
        assert np.isnan(p[1]) and np.isnan(table.records[1]['rate'])  # no threshold: no rate
        assert [r['p_rate_holm'] for r in table.records[:-1:2]] == holm(p)[DEFINED].tolist()
        mean = table.records[-1]
        rates = np.array([r['rate'] for r in table.records[:-1]])
        assert mean['rate'] == pytest.approx(rates[DEFINED].mean())
        assert 'Holm corrects over 2 findings' in table.notes[0]
    assert [table.name for table in tables] == ['sensitivity_against', 'specificity_against']


def test_validation_of_another_protocol_is_refused():
    foreign = replace(VAL, stamp='ChestX-ray14 chexnet/val')
    with pytest.raises(ValueError, match='protocols differ'):
        rate_tables(TEST, other_model(TEST), (VAL, foreign))


def test_the_margin_is_judged_by_the_bootstrap_by_patient():
    other = other_model(TEST)
    table = margin_table(TEST, shuffled(other), 0.1, 150, 4)
    draws = [bootstrap_auc(p.scores, p.labels, p.patients, 150, 4) for p in (TEST, other)]
    gaps = draws[0] - draws[1]
    found = margin_test(np.column_stack([gaps[:, 0], gaps[:, 2], gaps[:, DEFINED].mean(1)]), 0.1)
    for i, row in enumerate((0, 2, 3)):
        record = table.records[row]
        assert [record['difference_low'], record['difference_high']] == found.ends[:, i].tolist()
        assert record['p_above'] == found.p_above[i] and record['p_inside'] == found.p_inside[i]
        words = [
            'shown' if verdict[i] else 'not shown'
            for verdict in (found.not_inferior, found.equivalent)
        ]
        assert [record['not_inferior'], record['equivalent']] == words
    difference = roc_auc(TEST.scores, TEST.labels) - roc_auc(other.scores, other.labels)
    assert table.records[0]['difference'] == pytest.approx(difference[0])
    assert table.records[1]['not_inferior'] == '–'
    assert table.records[2]['p_above_holm'] == holm(found.p_above[:2])[1]
    assert 'p_above_holm' not in table.records[-1]
    assert 'worse' in table.notes[0] and 'worse' not in table.text().split('Difference of')[0]


def test_the_floor_of_holm_s_correction_is_said():
    wide = replace(
        TEST,
        scores=np.tile(TEST.scores, 4),
        labels=np.tile(TEST.labels, 4),
        classes=np.array(list('abcdefghijkl')),
    )
    for p, tested, said in ((TEST, 2, False), (wide, 8, True)):
        notes = ' '.join(margin_table(p, other_model(p), 0.1, 100).notes)
        assert (f'no p is below {tested / 101:.2g}' in notes) == said


def test_a_model_is_equivalent_to_itself_where_it_differs_little():
    table = margin_table(TEST, noisy(TEST, 1, 0.001), 0.1, 100)
    assert [r['equivalent'] for r in table.records] == ['shown', '–', 'shown', 'shown']
    worse = replace(TEST, scores=1 - TEST.scores)
    table = margin_table(worse, TEST, 0.1, 100)
    assert [r['not_inferior'] for r in table.records] == [
        'not shown',
        '–',
        'not shown',
        'not shown',
    ]


@pytest.mark.parametrize('with_other', [False, True])
def test_what_these_images_can_show(with_other):
    other = other_model(TEST) if with_other else None
    table = power_table(TEST, shuffled(other) if other else None, seed=2)
    scores = other.scores if other else None
    found = smallest_differences(
        TEST.scores, TEST.labels, TEST.patients, TEST.in_mean, scores, seed=2
    )
    for k in DEFINED:
        record = table.records[k]
        np.testing.assert_equal(record['smallest'], found.findings[k])
        np.testing.assert_equal(record['smallest_holm'], found.corrected[k])
        assert record['correlation'] == found.correlation[k]
    assert table.records[-1]['smallest'] == found.mean
    assert (f'{ASSUMED:g}, an assumption' in table.notes[0]) != with_other


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match='--against-val is of the second model'):
        comparison_tables(TEST, against_val=VAL)
    with pytest.raises(ValueError, match='needs --against'):
        comparison_tables(TEST, margin=0.02)
    assert comparison_tables(TEST) == []


SEEDS = [noisy(TEST, seed) for seed in range(3)], [noisy(TEST, seed, 0.6) for seed in range(5, 7)]


def means(models):
    return [mean_defined(roc_auc(p.scores, p.labels)) for p in models]


def test_several_seeds():
    models = [SEEDS[0], [shuffled(p) for p in SEEDS[1]]]
    table, margins = compare_models(*models, margin=0.05, replicates=100).tables
    mean = table.records[-1]
    a, b = map(means, SEEDS)
    assert mean['auc'] == pytest.approx(np.mean(a))
    assert mean['auc_against'] == pytest.approx(np.mean(b))
    assert mean['gap'] == pytest.approx(np.mean(a) - np.mean(b))
    low, high = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert mean['gap_high'] - mean['gap_low'] > 0.5 * (high - low)
    assert mean['p_seeds'] > ttest_ind(a, b, equal_var=False).pvalue / 2
    assert np.isnan(table.records[1]['gap']) and table.records[1]['p_seeds_holm'] != 0
    assert [r['finding'] for r in margins.records] == [r['finding'] for r in table.records]
    assert margins.records[-1]['difference'] == mean['gap']
    assert (mean['files'], mean['files_against']) == (3, 2)
    assert table.records[0]['auc_low'] >= 0 and table.records[0]['auc_high'] <= 1


def test_patients_add_to_the_variance_of_seeds():
    a, b = SEEDS[0][:2], SEEDS[1]
    paired = compare_models(a, b, paired=True, replicates=100).tables[0].records[-1]
    gaps = np.array(means(a)) - means(b)
    assert paired['gap'] == pytest.approx(gaps.mean())
    draws = [
        [bootstrap_auc(p.scores, p.labels, p.patients, 100)[:, DEFINED].mean(1) for p in m]
        for m in (a, b)
    ]
    of_patients = (np.mean(draws[0], 0) - np.mean(draws[1], 0)).var(ddof=1)
    error = (of_patients + gaps.var(ddof=1) / 2) ** 0.5
    freedom = error**4 / (gaps.var(ddof=1) / 2) ** 2
    half = student.ppf(0.975, freedom) * error
    np.testing.assert_allclose(
        [paired['gap_low'], paired['gap_high']], gaps.mean() + np.array([-half, half])
    )


def test_one_file_against_several_says_so():
    table = compare_models(SEEDS[0], SEEDS[1][:1], replicates=100).tables[0]
    assert table.notes[-1].startswith('model B is one file')


@pytest.mark.parametrize(
    ('first', 'second', 'message'),
    [
        ([TEST], [other_model(TEST)], 'mlrfnet evaluate A.npz --against B.npz'),
        ([TEST, TEST], [other_model(TEST)], 'file 2 of a has the same scores as file 1 of a'),
        (SEEDS[0], [SEEDS[0][1]], 'file 1 of b has the same scores as file 2 of a'),
        (SEEDS[0], [VAL], "file 1 of b: protocols differ: 'ChestX-ray14 official/test' and"),
        (
            SEEDS[0],
            [replace(SEEDS[1][0], images=changed(TEST.images, 4, 'x.png'))],
            r'file 1 of b: images differ: test_004\.png is in the first',
        ),
    ],
)
def test_files_that_do_not_belong_together(first, second, message):
    with pytest.raises(ValueError, match=message):
        compare_models(first, second, replicates=100)


def test_paired_models_need_as_many_files():
    with pytest.raises(ValueError, match='as many files each, got 3 and 2'):
        compare_models(*SEEDS, paired=True, replicates=100)


@pytest.fixture
def files(tmp_path):
    for name, p in dict(test=TEST, val=VAL, b=other_model(TEST), b_val=other_model(VAL)).items():
        p.save(tmp_path / f'{name}.npz')
    return tmp_path


def test_the_commands(files, capsys):
    words = '{0}/test.npz --val {0}/val.npz --against {0}/b.npz --against-val {0}/b_val.npz'
    words += ' --margin 0.1 --power --replicates 100 --out-dir {0}/out'
    evaluate.main(words.format(files).split())
    printed = capsys.readouterr().out
    for part in ('sensitivity against', 'specificity against', 'margin of 0.1', 'can be shown'):
        assert part in printed
    assert '…' not in printed  # nothing is cut
    written = {path.stem for path in (files / 'out').iterdir()}
    assert {'sensitivity_against', 'specificity_against', 'margin', 'power'} <= written
    for i, p in enumerate(SEEDS[0]):
        p.save(files / f'a{i}.npz')
    words = '--a {0}/a0.npz {0}/a1.npz {0}/a2.npz --b {0}/b.npz --margin 0.1 --replicates 100'
    compare.main(f'{words} --out-dir {{0}}/compared'.format(files).split())
    assert 'A − B' in capsys.readouterr().out
    row = (files / 'compared/compare.csv').read_text().splitlines()[-1]
    assert row.startswith('mean,') and 'a2.npz' in row


@pytest.mark.parametrize('text', ['0', '1', '-0.1', 'nan', 'x'])
def test_a_margin_that_is_none(text, files, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([str(files / 'test.npz'), f'--margin={text}'])
    assert 'must be' in capsys.readouterr().err
