"""Subgroup tables, joined columns and the forest plot."""

import csv
import gzip

import numpy as np
import pytest
from builders import make_predictions
from PIL import Image
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.commands.evaluate import main
from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    choose_thresholds,
    confusion_metrics,
    fit_calibration,
)
from mlrfnet_mm.reports.scores.groups import (
    evaluate_subgroups,
    plot_forest,
    read_joined,
    subgroup_tables,
)


def grouped(split='test', n=600, seed=0):
    base = make_predictions(split, n, seed)
    rng = np.random.default_rng(seed + 10)
    owner = np.unique(base.patients, return_inverse=True)[1]
    more = dict(
        sexes=np.array(['F', 'M', 'M'])[rng.integers(3, size=owner.max() + 1)][owner],
        ages=rng.integers(18, 90, owner.max() + 1)[owner].astype(float),
        views=rng.choice(['PA', 'AP'], n),
    )
    return Predictions(**{**vars(base), **more})


@pytest.fixture(scope='module')
def both():
    return grouped(), grouped('val', seed=1)


def test_tables_have_the_numbers(both):
    test, val = both
    _, tables = evaluate_subgroups(test, ['sex', 'age', 'view'], val, replicates=100)
    names = [table.name for table in tables]
    kinds = ('', '_operating_points', '_calibration')
    assert names == [f'groups_{by}{k}' for by in ('sex', 'age', 'view') for k in kinds] + [
        'groups_tests'
    ]
    thresholds = choose_thresholds(val.scores, val.labels)
    women, mass = test.sexes == 'F', 2
    y, s = test.labels[women, mass], test.scores[women, mass]
    by_row = {(r['finding'], r['group']): r for r in tables[0].records}
    assert by_row['Mass', 'F']['auc'] == pytest.approx(roc_auc_score(y, s))
    assert by_row['Mass', 'F']['positives'] == y.sum()
    assert by_row['Mass', 'F']['n'] == women.sum() and ('Mass', 'M') in by_row
    assert by_row['Mass', 'F']['difference_auc'] == pytest.approx(
        by_row['Mass', 'F']['auc'] - by_row['Mass', 'M']['auc']
    )
    assert 'difference_auc' not in by_row['Mass', 'M']
    called = s >= thresholds[mass]
    cells = [(called & (y == 1)).sum(), (called & (y == 0)).sum()]
    cells += [(~called & (y == 1)).sum(), (~called & (y == 0)).sum()]
    points = {(r['finding'], r['group']): r for r in tables[1].records}
    expected = confusion_metrics(np.array(cells))
    assert points['Mass', 'F']['sensitivity'] == pytest.approx(expected[1])
    assert points['Mass', 'F']['specificity'] == pytest.approx(expected[2])
    scale, bias = fit_calibration(val.scores, val.labels)
    p = Calibration(tuple(val.classes), 'platt', scale, bias, val.stamp).apply(test.scores)
    calibrated = {(r['finding'], r['group']): r for r in tables[2].records}
    assert calibrated['Mass', 'F']['probability'] == pytest.approx(p[women, mass].mean())
    assert calibrated['Mass', 'F']['brier'] == pytest.approx(((p[women, mass] - y) ** 2).mean())
    assert 'chosen on ChestX-ray14 official/val, the same for all groups' in tables[1].notes[0]
    assert 'platt, fitted on ChestX-ray14 official/val' in tables[2].notes[0]


def test_undefined_findings_are_named_and_left_out(both):
    _, tables = evaluate_subgroups(both[0], ['sex'], replicates=100)
    notes = ' '.join(tables[0].notes)
    assert 'F, not reported (fewer than 10 positive or negative patients): Hernia.' in notes
    assert 'Left out of the comparison in all groups: Hernia.' in notes
    assert [row['finding'] for row in tables[-1].records] == ['Edema', 'Mass', 'mean of 2 common']
    row = next(r for r in tables[0].records if r['finding'] == 'Hernia')
    assert row['auc'] != row['auc'] and row['prevalence'] != row['prevalence']
    assert row['n'] > 0 and row['positives'] == 0


def test_what_is_not_known_is_said():
    test = grouped()
    test.sexes[:7] = ''
    _, tables = evaluate_subgroups(test, ['sex'], replicates=100)
    assert '7 images whose sex is not known are in no group.' in tables[0].notes


def test_one_group_has_nothing_to_compare():
    test = grouped()
    test.sexes[:] = 'F'
    comparisons, tables = evaluate_subgroups(test, ['sex'], replicates=100)
    assert 'One group only: nothing to compare.' in tables[0].notes and not tables[-1].records
    assert tables[0].records[0]['group'] == 'F' and comparisons[0].common.tolist() == [
        True,
        False,
        True,
    ]
    assert 'nothing to compare' in tables[0].text() + tables[0].markdown()


def test_no_group_is_large_enough():
    _, tables = evaluate_subgroups(grouped(n=24), ['sex'], replicates=100)
    notes = ' '.join(tables[0].notes)
    assert 'No finding is reported in all groups: nothing is compared.' in notes
    assert 'it takes no part in the comparison' in notes and not tables[-1].records


def test_tables_fit_a_terminal(both):
    for table in evaluate_subgroups(both[0], ['sex', 'age'], both[1], replicates=100).tables:
        assert '…' not in table.text()


def test_no_columns_no_tables(both):
    assert evaluate_subgroups(both[0], [], replicates=100) == ([], [])
    assert subgroup_tables([], 'x') == []


def test_mistakes(both):
    test = both[0]
    with pytest.raises(ValueError, match=r"--by names 'age' 2 times"):
        evaluate_subgroups(test, ['age', 'age=50'])
    with pytest.raises(ValueError, match='images of the test file'):
        evaluate_subgroups(test, ['sex'], test)
    other = Calibration(('Edema',), 'platt', np.ones(1), np.zeros(1), 'x')
    with pytest.raises(ValueError, match='classes differ'):
        evaluate_subgroups(test, ['sex'], calibration=other)


# --- columns of a table ------------------------------------------------------------------------


def write(path, rows):
    text = '\n'.join(','.join(map(str, row)) for row in rows) + '\n'
    if path.suffix == '.gz':
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize('name', ['t.csv', 't.csv.gz'])
@pytest.mark.parametrize('prefix', ['', 'images/01/'])
def test_columns_are_joined_by_image(tmp_path, name, prefix):
    test = make_predictions(n=4)
    rows = [['Mass', 'file', 'kV']]
    rows += [[i, f'{prefix}{image}', 80 + i] for i, image in enumerate(test.images)][::-1]
    rows += [[9, f'{prefix}another.png', 7]]
    path = write(tmp_path / name, rows)
    found = read_joined(path, test, ['kV=81.5', 'sex'])
    assert list(found) == ['kV'] and found['kV'].tolist() == ['80', '81', '82', '83']


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([['image', 'kV'], ['test_000.png', 1]], "no row for test_001.png in column 'image' .1 of"),
        ([['image', 'mAs'], ['test_000.png', 1]], "none of the columns 'kV' is there, but 'image'"),
        ([['image', 'kV', 'kV'], ['test_000.png', 1, 2]], "column 'kV' is there 2 times"),
        (
            [['image', 'kV'], ['test_000.png', 1], ['test_001.png', 1], ['test_000.png', 1]],
            'line 4: test_000.png is there already, at line 2',
        ),
        ([['image', 'kV'], ['a.png', 1]], "no column names the images, as 'test_000.png'"),
        ([['image', 'kV'], ['test_000.png', 1, 5]], "line 2: 3 fields in 'test_000.png,1,5'"),
    ],
)
def test_what_cannot_be_joined(tmp_path, rows, message):
    path = write(tmp_path / 't.csv', rows)
    with pytest.raises(ValueError, match=message):
        read_joined(path, make_predictions(n=2), ['kV'])


def test_a_file_that_is_no_table(tmp_path):
    path = tmp_path / 't.csv'
    path.write_bytes(b'\xff\xfe\x00image')
    with pytest.raises(ValueError, match='is not a CSV table'):
        read_joined(path, make_predictions(n=2), ['kV'])
    with pytest.raises(FileNotFoundError):
        read_joined(tmp_path / 'none.csv', make_predictions(n=2), ['kV'])


# --- command and figure ------------------------------------------------------------------------


def test_the_command(both, tmp_path, capsys):
    test, val = both
    test.save(tmp_path / 'test.npz')
    val.save(tmp_path / 'val.npz')
    devices = [['image', 'device'], *([image, 'AB'[i % 2]] for i, image in enumerate(test.images))]
    table = write(tmp_path / 'devices.csv', devices)
    command = [str(tmp_path / 'test.npz'), '--val', str(tmp_path / 'val.npz')]
    command += ['--by', 'sex', 'age=50', 'device', '--columns', str(table)]
    main([*command, '--replicates', '100', '--out-dir', str(tmp_path / 'out')])
    printed = capsys.readouterr().out
    assert 'by device: AUC and prevalence' in printed and 'do the groups differ?' in printed
    with (tmp_path / 'out' / 'groups_age.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert {row['group'] for row in rows} == {'0-49', '50+'}
    assert rows[0]['columns'] == str(table) and rows[0]['dataset'] == 'ChestX-ray14'
    for name in ('sex', 'age', 'device'):
        with Image.open(tmp_path / 'out' / f'forest_{name}.png') as picture:
            assert picture.width > 1000
        assert (tmp_path / 'out' / f'forest_{name}.svg').read_text().startswith('<?xml')
    assert 'by age: AUC and prevalence' in (tmp_path / 'out' / 'statistics.md').read_text()


def test_columns_need_by(both, tmp_path):
    both[0].save(tmp_path / 'test.npz')
    with pytest.raises(ValueError, match='--columns is for --by'):
        main([str(tmp_path / 'test.npz'), '--columns', 'x.csv'])


def test_marks_of_the_forest_are_the_values(both, tmp_path, monkeypatch):
    """Every reported value has its mark, every other none."""
    from mlrfnet_mm.reports.scores.groups import forest_figure

    kept = []
    monkeypatch.setattr(forest_figure, 'save', lambda figure, stem: kept.append(figure) or [])
    comparisons, _ = evaluate_subgroups(both[0], ['sex'], replicates=100)
    plot_forest(comparisons, 'a $title$', tmp_path)
    left, right = kept[0].axes
    for g in (0, 1):
        drawn = left.get_lines()[g].get_xdata()
        np.testing.assert_array_equal(drawn, comparisons[0].measures['auc'].values[g])
    shown = [line for line in right.get_lines() if len(line.get_xdata()) == 4]
    np.testing.assert_array_equal(
        shown[0].get_xdata(), comparisons[0].measures['auc'].difference[0]
    )
