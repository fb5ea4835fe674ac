"""AUC on degraded images: predictions as the config's own pipeline makes them, and the numbers."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from builders import make_predictions, write_checkpoint
from mmengine.dataset import pseudo_collate
from mmpretrain.registry import DATASETS
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.commands import robustness as command
from mlrfnet_mm.datasets.transforms.degradation import DEGRADATIONS
from mlrfnet_mm.evaluation import patient_weights
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.reports.output.tables import number
from mlrfnet_mm.reports.shift.robustness import cells
from mlrfnet_mm.reports.shift.robustness.cells import (
    CLEAN,
    Cell,
    EveryCell,
    all_cells,
    joined,
    predict_cells,
)
from mlrfnet_mm.reports.shift.robustness.figure import plot_robustness
from mlrfnet_mm.reports.shift.robustness.tables import measure, robustness_tables

FEW = [CLEAN, Cell('noise', 0), Cell('border', 20)]
N = 12  # images


@pytest.fixture(scope='module')
def loaded(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    cfg = write_checkpoint(folder, phantom)
    cfg.test_dataloader.dataset.indices = N
    return load_model(folder, cfg)


def by_config(loaded, cell):
    """Scores of the test pipeline with the degradation written into it."""
    options = deepcopy(dict(loaded.cfg.test_dataloader.dataset))
    if cell.kind:
        step = dict(type='mlrfnet_mm.XrayDegradation', kind=cell.kind, strength=cell.strength)
        options['pipeline'] = [options['pipeline'][0], step, *options['pipeline'][1:]]
    dataset = DATASETS.build(options)
    batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
    return np.stack([s.pred_score.detach().numpy() for s in loaded.model.test_step(batch)])


def test_a_cell_is_what_the_config_with_that_step_gives(loaded, tmp_path):
    predict_cells(loaded, tmp_path, FEW, batch_size=5, workers=0)
    for cell in FEW:
        found = load_predictions(tmp_path / cell.file)
        np.testing.assert_allclose(found.scores, by_config(loaded, cell), atol=1e-5)
        assert found.checkpoint == loaded.stamp['sha256'] and len(found.images) == N
    assert not (tmp_path / cells.UNFINISHED).exists()
    assert load_predictions(tmp_path / 'clean.npz').stamp.startswith('part of generated phantom ')
    stamp = 'part of generated phantom (noise, SNR 0 dB) official/test'
    assert load_predictions(tmp_path / 'noise_0.npz').stamp == stamp


def test_a_stopped_run_goes_on_and_done_cells_are_left(loaded, tmp_path, monkeypatch):
    predict_cells(loaded, tmp_path / 'whole', FEW, batch_size=7, workers=0)
    monkeypatch.setattr(cells, 'SAVE_SECONDS', -1)
    todo = []

    def stop_after(images):
        def bar(count):
            todo.append(count)
            done = []

            def advance(n):
                done.append(n)
                if sum(done) >= images:
                    raise KeyboardInterrupt

            return advance

        return bar

    out = tmp_path / 'cut'
    with pytest.raises(KeyboardInterrupt):
        predict_cells(loaded, out, FEW, 3, 0, stop_after(5))
    assert not (out / 'clean.npz').exists()  # a part does not look like the whole
    partial = load_predictions(out / cells.UNFINISHED / 'clean.npz')
    assert 0 < len(partial.images) < N
    predict_cells(loaded, out, FEW, 3, 0, stop_after(10**9))
    assert todo == [N, N - len(partial.images)]
    for cell in FEW:
        one, two = (load_predictions(folder / cell.file) for folder in (tmp_path / 'whole', out))
        np.testing.assert_allclose(one.scores, two.scores, atol=1e-6)
        for name in ('images', 'patients', 'labels'):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        assert one.stamp == two.stamp
    times = [(out / cell.file).stat().st_mtime_ns for cell in FEW]
    predict_cells(loaded, out, [*FEW, Cell('jpeg', 10)], 3, 0, stop_after(10**9))
    predict_cells(loaded, out, FEW, 3, 0, stop_after(0))  # nothing to do: nothing is read
    assert times == [(out / cell.file).stat().st_mtime_ns for cell in FEW]
    assert todo[2:] == [N]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(checkpoint='0' * 12), "clean.npz: its checkpoint are '000000000000', not "),
        (dict(stamp='ChestX-ray14 official/test'), "its data are 'ChestX-ray14 official/test'"),
        (dict(images=np.array([f'{i}.png' for i in range(N)])), 'its images are others'),
    ],
)
def test_files_of_something_else_are_refused(loaded, tmp_path, change, message):
    predict_cells(loaded, tmp_path, [CLEAN], workers=0)
    replace(load_predictions(tmp_path / 'clean.npz'), **change).save(tmp_path / 'clean.npz')
    with pytest.raises(ValueError, match=message):
        predict_cells(loaded, tmp_path, FEW, workers=0)


def test_other_findings_and_other_pipelines(loaded):
    with pytest.raises(ValueError, match=r"begins with mlrfnet_mm.LoadXray, got \['function'\]"):
        EveryCell([lambda results: results], FEW)
    other = replace(loaded, classes=loaded.classes[:3])
    with pytest.raises(ValueError, match='the test data has the findings .*, the model'):
        cells.build_dataset(other)


def test_rows_are_joined():
    whole = replace(make_predictions(n=9), sexes=np.array([*'FMFMFMF', '', '']))
    first, second = whole.rows(np.arange(4)), whole.rows(np.arange(4, 9))
    for name in ('scores', 'images', 'sexes'):
        np.testing.assert_array_equal(getattr(joined(first, second), name), getattr(whole, name))
    lost = joined(replace(first, sexes=None), replace(second, ages=np.arange(5.0)))
    assert lost.sexes.tolist() == [''] * 4 + ['F', 'M', 'F', '', '']
    assert np.isnan(lost.ages[:4]).all() and lost.ages[4:].tolist() == [0, 1, 2, 3, 4]
    views = replace(first, views=np.array(['Frontal'] * 4))
    assert joined(views, second).views is None


STAMP = dict(model='m', sha256='a' * 12)
KINDS = ('blur', 'gamma')


@pytest.fixture
def measured(tmp_path):
    """Made predictions, worse from strength to strength."""
    clean = make_predictions()
    clean.save(tmp_path / 'clean.npz')
    rng = np.random.default_rng(3)
    for kind in KINDS:
        for i, strength in enumerate(DEGRADATIONS[kind].strengths):
            scores = clean.scores + 0.05 * (i + 1) * rng.standard_normal(clean.scores.shape)
            worse = replace(clean, scores=scores.clip(0, 1).astype(np.float32))
            worse.save(tmp_path / Cell(kind, strength).file)
    return measure(tmp_path, all_cells(KINDS), STAMP, replicates=60, seed=1)


def test_numbers_against_scikit_learn(measured, tmp_path):
    clean = load_predictions(tmp_path / 'clean.npz')
    other = load_predictions(tmp_path / 'blur_0.8.npz')
    index, weights = patient_weights(clean.patients, 60, 1)

    def areas(p, w=None):
        return [roc_auc_score(p.labels[:, k], p.scores[:, k], sample_weight=w) for k in (0, 2)]

    gaps = [areas(other, w[index]) for w in weights]
    gaps = np.array(gaps) - [areas(clean, w[index]) for w in weights]
    row = next(r for r in measured.records if (r['kind'], r['strength']) == ('blur', 0.8))
    assert row['auc'] == pytest.approx(np.mean(areas(other)))  # Hernia has no AUC
    assert row['difference'] == pytest.approx(np.mean(areas(other)) - np.mean(areas(clean)))
    ends = np.quantile(gaps.mean(1), [0.025, 0.975])
    np.testing.assert_allclose([row['difference_low'], row['difference_high']], ends, atol=1e-6)
    mass = next(
        r for r in measured.by_finding
        if (r['finding'], r['kind'], r['strength']) == ('Mass', 'blur', 0.8)
    )  # fmt: skip
    np.testing.assert_allclose(mass['difference_low'], np.quantile(gaps[:, 1], 0.025), atol=1e-6)
    assert 'difference' not in measured.records[0] and measured.records[0]['kind'] == 'clean'
    assert len(measured.records) == 11 and len(measured.by_finding) == 33
    hernia = [r['auc'] for r in measured.by_finding if r['finding'] == 'Hernia']
    assert np.isnan(hernia).all()


def test_tables_from_files_are_those_that_were_measured(measured, tmp_path):
    for path in measured.write(tmp_path):
        assert path.is_file()
    now, later = measured.tables(), robustness_tables(tmp_path)
    assert [table.rows() for table in now] == [table.rows() for table in later]
    assert [table.title for table in now] == [table.title for table in later]
    assert [list(table.notes) for table in now] == [list(table.notes) for table in later]
    assert later[0].records[0]['sha256'] == 'a' * 12
    page = (tmp_path / 'robustness.md').read_text()
    row = measured.records[3]
    assert f'| blur | sigma 0.4 % | {number(row["auc"])} (' in page
    assert 'ChestX-ray14 official/test' in page and 'sha256 aaaaaaaaaaaa' in page
    (tmp_path / 'robustness.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match='robustness.csv is not a table of mlrfnet robustness'):
        robustness_tables(tmp_path)


def test_cells_of_other_images_are_refused(measured, tmp_path):
    other = load_predictions(tmp_path / 'gamma_2.npz')
    replace(other, labels=1 - other.labels).save(tmp_path / 'gamma_2.npz')
    with pytest.raises(ValueError, match='gamma_2.npz: its labels are not those of clean.npz'):
        measure(tmp_path, all_cells(KINDS), STAMP, replicates=5)


def test_few_patients_have_no_interval(tmp_path):
    few = make_predictions(n=24)
    for cell in all_cells(['blur']):
        few.save(tmp_path / cell.file)
    found = measure(tmp_path, all_cells(['blur']), STAMP, replicates=20)
    assert all(np.isnan(r['auc_low']) for r in found.by_finding)
    assert not np.isnan(found.by_finding[0]['auc'])
    same = found.records[3]
    assert same['difference'] == 0 and np.isnan(same['difference_low'])  # no width, no interval


def test_the_figure_has_a_square_per_kind(measured, tmp_path, figures):
    plot_robustness(measured, tmp_path / 'r')
    shown = [axes for axes in figures[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ['blur (sigma %)', 'gamma (exponent)']
    mean = shown[0].lines[3].get_ydata()
    by_strength = {r['strength']: r['auc'] for r in measured.records if r['kind'] == 'blur'}
    expected = [measured.records[0]['auc'], *by_strength.values()]
    np.testing.assert_allclose(mean, expected)


def test_the_command(loaded, tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    loaded.cfg.dump(config)
    words = [str(config), str(loaded.path), '--kinds', 'jpeg', '--out-dir', str(tmp_path / 'r')]
    command.main(
        [*words, '--replicates', '20', '--cfg-options', 'test_dataloader.dataset.indices=9']
    )
    printed = capsys.readouterr().out
    assert 'part of generated phantom official/test: mean AUC on degraded images' in printed
    assert len(list((tmp_path / 'r').glob('*.npz'))) == 6
    assert robustness_tables(tmp_path / 'r')[0].records[0]['replicates'] == 20
    with pytest.raises(ValueError, match="--kinds must be of noise, .*, got 'fog'"):
        command.main([*words[:3], 'fog'])
