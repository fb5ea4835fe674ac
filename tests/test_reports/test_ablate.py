"""tools/ablate.py from the command line, and its runs with tools that only pretend to train."""

import copy
import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from rich.console import Console
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.datasets.phantom import write_chexpert_phantom
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import Predictions, patient_weights
from mlrfnet_mm.reports.ablation import (
    Settings,
    build_plan,
    execute,
    execute_on_ray,
    fingerprint,
    finished,
    list_runs,
    write_report,
)
from mlrfnet_mm.reports.ablation.description import read_description
from mlrfnet_mm.reports.ablation.fingerprint import data_fingerprint, table_digests
from mlrfnet_mm.reports.ablation.plan import rebase
from mlrfnet_mm.reports.ablation.results import collect
from mlrfnet_mm.reports.scores.paper import WHOLE

pytestmark = pytest.mark.slow

PHANTOM = ROOT / 'configs/mlrfnet_phantom.py'
TRAIN = """
import sys
from pathlib import Path
config, folder = Path(sys.argv[1]), Path(sys.argv[3])
print('training', sys.argv)
(folder / 'last_checkpoint').write_text('epoch_1.pth')
log = folder / 'time/vis_data/scalars.json'
log.parent.mkdir(parents=True, exist_ok=True)
log.write_text(''.join(
    f'{{"epoch": {(i + 1) // 2}, "iter": {i}, "loss": {8 - i}}}\\n' for i in (1, 2, 3)
))
with (folder.parents[1] / 'calls').open('a') as file:
    file.write(f'{folder.parent.name}/{folder.name} {" ".join(sys.argv[4:])}\\n')
if (folder.parents[1] / f'break_{folder.parent.name}').exists():
    sys.exit('out of memory')
"""
# Scores are labels and noise, by lam and seed; only numpy, so that a run takes no time.
TEST = """
import sys, numpy as np
config = {}
exec(open(sys.argv[1]).read(), config)
rng = np.random.default_rng(5)
labels = (rng.random((20, 14)) < 0.4).repeat(3, 0).astype('f4')
lam = config['model']['head'].get('lam', (1, 0, 0))
noise = lam[0] + 2 * lam[1] + 3 * lam[2] + config['randomness']['seed'] / 10
scores = 1 / (1 + np.exp(-labels - noise * rng.normal(size=labels.shape))).astype('f4')
more = {}
classes = np.array([f'c{k}' for k in range(14)])
patients = np.array([str(i // 3) for i in range(60)])
if STUDIES:
    more = dict(studies=patients, views=np.array(['Frontal'] * 60), scored=classes[:2])
np.savez(sys.argv[-1], scores=scores, labels=labels, patients=patients, classes=classes,
         images=np.array([f'{i}.png' for i in range(60)]), stamp=STAMP, **more)
"""
STAMP = 'generated phantom official/test'


def write_test(tools, stamp=STAMP, studies=False):
    (tools / 'test.py').write_text(f'STAMP, STUDIES = {stamp!r}, {studies}\n{TEST}')


@pytest.fixture
def tools(tmp_path):
    folder = tmp_path / 'tools'
    folder.mkdir()
    (folder / 'train.py').write_text(TRAIN)
    write_test(folder)
    return folder


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / 'w' / 't'
    folder.mkdir(parents=True)
    return folder


def plan_of(phantom, table='fig6_lam', *options):
    roots = [f'{part}_dataloader.dataset.data_root={phantom}' for part in ('train', 'val', 'test')]
    return build_plan(ROOT / 'configs/ablations' / table, PHANTOM, [*roots, *options])


def go(runs, tools, work, **settings):
    console = Console(file=(work.parent / 'printed').open('a'), width=300)
    return execute(runs, Settings(tools=tools, **settings), work, console)


def calls(work):
    file = work / 'calls'
    return file.read_text().splitlines() if file.exists() else []


ROWS = ['base', 'lam_0.1_0.1_0.1', 'lam_0.5_0.3_0.1']


def test_what_is_done_is_skipped_what_failed_is_resumed(phantom, tools, work, tmp_path):
    runs = list_runs(plan_of(phantom), [0, 1], work, ROWS)
    assert [str(run) for run in runs[:4]] == [
        *(f'row {row}, seed 0' for row in ROWS),
        'row base, seed 1',
    ]
    (work / 'break_lam_0.1_0.1_0.1').touch()
    failures = go(runs, tools, work)
    assert len(failures) == 2 and 'lam_0.1_0.1_0.1, seed 0: train failed' in failures[0]
    assert 'out of memory' in failures[0]
    # lam_0.5_0.3_0.1 is the base itself: taken over, not trained
    assert calls(work) == [
        f'{row}/seed{seed} ' for seed in (0, 1) for row in ('base', 'lam_0.1_0.1_0.1')
    ]
    (work / 'break_lam_0.1_0.1_0.1').unlink()
    assert go(runs, tools, work) == []
    assert calls(work)[4:] == [f'lam_0.1_0.1_0.1/seed{seed} --resume' for seed in (0, 1)]
    assert go(runs, tools, work) == []
    assert len(calls(work)) == 6


def test_on_ray_it_is_the_same(phantom, tools, work, tmp_path):
    """What fails, what is taken over, and what goes on, on a local cluster of two workers."""
    ray = pytest.importorskip('ray')
    runs = list_runs(plan_of(phantom), [0, 1], work, ROWS)
    (work / 'break_lam_0.1_0.1_0.1').touch()
    console = Console(file=(work.parent / 'printed').open('a'), width=300)
    ray.init(num_cpus=2, log_to_driver=False)
    try:
        settings = Settings(tools=tools)
        failures = execute_on_ray(runs, settings, work, console)
        first = sorted(calls(work))
        (work / 'break_lam_0.1_0.1_0.1').unlink()
        again = execute_on_ray(runs, settings, work, console)
        with pytest.raises(ValueError, match=r'--gpus 3: the Ray cluster has 2 cores in all'):
            execute_on_ray(runs, replace(settings, processes=3), work, console)
    finally:
        ray.shutdown()
    assert len(failures) == 2 and all('train failed (exit 1)' in text for text in failures)
    assert first == [f'{row}/seed{seed} ' for row in ('base', 'lam_0.1_0.1_0.1') for seed in (0, 1)]
    assert again == []
    assert sorted(calls(work)[4:]) == [f'lam_0.1_0.1_0.1/seed{k} --resume' for k in (0, 1)]


def test_runs_on_another_config_are_refused_or_moved_aside(phantom, tools, work, tmp_path):
    go(list_runs(plan_of(phantom), [0], work, ['base']), tools, work)
    other = plan_of(phantom, 'fig6_lam', 'train_cfg.max_epochs=9')
    runs = list_runs(other, [0], work, ['base'])
    assert finished(runs[0]) == (False, 'train_cfg.max_epochs was 4, is 9')
    with pytest.raises(ValueError, match='train_cfg.max_epochs was 4, is 9'):
        go(runs, tools, work)
    report = write_report(other, [0], work, tmp_path / 'out', 10)
    assert 'left out: it was run with another config (train_cfg.max_epochs was 4' in report.text()
    assert go(runs, tools, work, redo=True) == []
    assert len(calls(work)) == 2
    assert len(list((work / 'base').glob('seed0_until_*'))) == 1


def test_a_run_on_other_processes_is_another_run(phantom, tools, work):
    runs = list_runs(plan_of(phantom), [0], work, ['base'])
    go(runs, tools, work)
    with pytest.raises(ValueError, match='processes were 1, are 2'):
        go(runs, tools, work, processes=2)


def test_other_test_images_stand_in_no_table(phantom, tools, work):
    plan = plan_of(phantom)
    go(list_runs(plan, [0], work, ROWS[:2]), tools, work)
    file = work / ROWS[1] / 'seed0/predictions.npz'
    p = Predictions.load(file)
    replace(p, images=np.array([f'other_{name}' for name in p.images])).save(file)
    with pytest.raises(ValueError, match=f'row {ROWS[1]}, seed 0 does not belong in one table'):
        collect(plan, [0], work, 5)


def test_a_seed_counts_once(phantom, work):
    with pytest.raises(ValueError, match='one is there twice: 0 1 0'):
        list_runs(plan_of(phantom), [0, 1, 0], work)


def test_foreign_files_are_left_in_peace(phantom, tools, work):
    runs = list_runs(plan_of(phantom), [0], work, ['base'])
    runs[0].folder.mkdir(parents=True)
    (runs[0].folder / 'epoch_1.pth').touch()
    with pytest.raises(ValueError, match=r'holds files, and no run of mlrfnet ablate'):
        go(runs, tools, work)


def test_label_tables_and_lists_make_the_fingerprint(tmp_path):
    names = ['labels.csv', 'labels.csv.gz', 'split.json', 'test_list.txt']
    for name in [*names, 'image.png']:
        (tmp_path / name).write_text(name)
    assert list(table_digests(tmp_path)) == names


def test_changed_labels_are_other_data(phantom, tools, work, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(phantom, copy)
    go(list_runs(plan_of(phantom), [0], work, ['base']), tools, work)
    # another place with the same content is the same data; fingerprints are kept per process
    runs = list_runs(plan_of(copy), [0], work, ['base'])
    assert go(runs, tools, work) == [] and len(calls(work)) == 1
    other = tmp_path / 'other'
    shutil.copytree(phantom, other)
    (other / 'note.csv').write_text('a,b\n')
    with pytest.raises(ValueError, match='the data were|data were'):
        go(list_runs(plan_of(other), [0], work, ['base']), tools, work)


def test_chexpert_s_tables_count_also_one_folder_down(tmp_path):
    folder = tmp_path / 'data' / 'CheXpert-v1.0'
    write_chexpert_phantom(folder, patients=54, size=32, seed=0, workers=1)
    cfg = read_config(ROOT / 'configs/mlrfnet_phantom_chexpert.py')
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(tmp_path / 'data')
    repeat = copy.deepcopy(cfg)
    repeat.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    first, twice = data_fingerprint(cfg), data_fingerprint(repeat)
    assert len({part['tables'] for part in first.values()}) == 1 and first['train']['tables']
    assert twice['train'] == dict(
        items=2 * first['train']['items'], tables=first['train']['tables']
    )
    cfg.train_dataloader.dataset.protcol = 'held-out'
    with pytest.raises(ValueError, match=r"train_dataloader\.dataset: .*'protcol'"):
        data_fingerprint(cfg)


def test_runs_on_other_labels_or_processes_stand_in_no_table(phantom, tools, work, tmp_path):
    plan = plan_of(phantom)
    runs = list_runs(plan, [0], work, ROWS[:2])
    go(runs, tools, work)
    runs[1].write('done', {**runs[1].record('done'), 'processes': 4})
    report = write_report(plan, [0], work, tmp_path / 'out', 10)
    records = {r['name']: r for r in report.table.records}
    assert records[ROWS[1]]['ours'] == 'not run' and 'seed_0' in records['base']
    text = report.paths[0].read_text()
    assert f'row {ROWS[1]}, seed 0 is left out: 4 processes' in text


def test_a_run_taken_over_twice_keeps_its_log(phantom, tools, work):
    for name in ('table9', 'table10', 'table11'):
        plan = plan_of(phantom, name)
        go(list_runs(plan, [0], work.with_name(name), ['base']), tools, work.with_name(name))
        (result, *_) = collect(plan, [0], work.with_name(name), 5).rows
        assert result.losses == [{1: 6.5, 2: 5.0}]


def test_table_agrees_with_scikit_learn(phantom, tools, work, tmp_path):
    plan = plan_of(phantom)
    runs = list_runs(plan, [0, 1], work, ROWS)
    go(runs, tools, work, command='python tools/ablate.py …')
    report = write_report(plan, [0, 1], work, tmp_path / 'out', 200)
    with report.paths[1].open(encoding='utf-8') as file:
        rows = {row['name']: row for row in csv.DictReader(file)}
    means = {}
    for name in ROWS[:2]:
        aucs = []
        for seed in (0, 1):
            p = Predictions.load(work / name / f'seed{seed}' / 'predictions.npz')
            aucs.append(np.mean([roc_auc_score(y, s) for y, s in zip(p.labels.T, p.scores.T)]))  # noqa: B905
        means[name] = np.mean(aucs)
        assert float(rows[name]['ours']) == pytest.approx(means[name])
        assert float(rows[name]['sd']) == pytest.approx(np.std(aucs, ddof=1))
        assert float(rows[name]['ours_low']) < means[name] < float(rows[name]['ours_high'])
        assert rows[name]['paper'] == '—'  # the paper has no phantom
    gap = means[ROWS[1]] - means['base']
    assert float(rows[ROWS[1]]['difference']) == pytest.approx(gap)
    same = rows[ROWS[2]]  # the base's own predictions: no difference in any replicate
    assert [float(same[f'difference{end}']) for end in ('', '_low', '_high')] == [0, 0, 0]
    assert sum(row['ours'] == 'not run' for row in rows.values()) == 28 - 3
    assert {row['protocol'] for row in rows.values()} == {'official'}
    text = report.paths[0].read_text()
    assert 'python tools/ablate.py …' in text and '60 images of 20 patients' in text
    assert [p.name for p in report.paths[2:]] == [
        f'fig6_lam_on_mlrfnet_phantom{kind}.{suffix}'
        for kind in ('', '_loss', '_scatter', '_heatmap')
        for suffix in ('png', 'svg')
    ]
    losses = {r.row.name: r.losses for r in collect(plan, [0, 1], work, 2).rows if r.seeds}
    # means of the epochs; of the base's own folder where a run was taken over
    assert losses == dict.fromkeys(ROWS, [{1: 6.5, 2: 5.0}] * 2)


def test_paired_interval_is_the_bootstrap_s(phantom, tools, work, tmp_path):
    """By hand: draw patients as the package does, weigh scikit-learn's AUC."""
    plan = plan_of(phantom)
    go(list_runs(plan, [0], work, ROWS[:2]), tools, work)
    results = collect(plan, [0], work, 30)
    base, row = results.rows[0], next(r for r in results.rows if r.row.name == ROWS[1])
    one, two = (
        Predictions.load(work / name / 'seed0/predictions.npz') for name in ('base', ROWS[1])
    )
    index, weights = patient_weights(one.patients, 30, 0)
    gaps = [
        np.mean(
            [
                roc_auc_score(two.labels[:, k], two.scores[:, k], sample_weight=w[index])
                - roc_auc_score(one.labels[:, k], one.scores[:, k], sample_weight=w[index])
                for k in range(14)
            ]
        )
        for w in weights
    ]
    ends = row.difference(base).ends
    np.testing.assert_allclose(ends, np.quantile(gaps, [0.025, 0.975]))


@pytest.mark.parametrize(
    ('stamp', 'option', 'paper'),
    [
        ('ChestX-ray14 chexnet/test', '', 0.845),
        ('ChestX-ray14 chexnet/test', 'indices=9', '—'),
        ('ChestX-ray14 official/test', '', '—'),
        ('CheXpert select-on-valid/valid', '', 0.882),
        ('CheXpert select-on-valid/valid', 'views=frontal', '—'),
        ('CheXpert held-out/valid', '', '—'),
        ('ChestX-ray14 chexnet/test', 'a sample', '—'),
        ('generated phantom chexnet/test', '', '—'),
    ],
)
def test_paper_s_value_only_next_to_its_data_and_protocol(
    phantom, tools, work, tmp_path, stamp, option, paper, monkeypatch
):
    write_test(tools, stamp)
    if option == 'a sample':  # with lists of its own: 60 images are not the 22,433
        option = ''
    else:
        for key in WHOLE:
            monkeypatch.setitem(WHOLE, key, 60)
    if 'views' in option:  # an option of CheXpert's, which is not at hand
        monkeypatch.setattr('mlrfnet_mm.reports.ablation.runs.data_fingerprint', lambda _: DATA)
    options = [f'test_dataloader.dataset.{option}'] if option else []
    plan = plan_of(phantom, 'table9', *options)
    go(list_runs(plan, [0], work, ['no_mrfc']), tools, work)
    records = write_report(plan, [0], work, tmp_path / 'out', 10).table.records
    assert {r['name']: r['paper'] for r in records}['no_mrfc'] == paper
    assert {r['name']: r['ours'] for r in records}['base'] == 'not run'


DATA = {part: dict(items=60, tables='0') for part in ('train', 'val', 'test')}


def test_studies_and_scored_classes_decide(phantom, tools, work, tmp_path):
    """CheXpert's way: maximum over the views of a study, mean over the scored classes."""
    write_test(tools, studies=True)
    plan = plan_of(phantom)
    assert go(list_runs(plan, [0], work, ['base']), tools, work) == []
    p = Predictions.load(work / 'base/seed0/predictions.npz')
    scores = p.scores.reshape(20, 3, 14).max(1)
    expected = np.mean([roc_auc_score(p.labels[::3, k], scores[:, k]) for k in (0, 1)])
    result = collect(plan, [0], work, 10)
    assert result.rows[0].mean == pytest.approx(expected)
    assert result.test.unit == 'study' and len(result.test.classes) == 2


@pytest.mark.parametrize(
    ('table', 'option', 'message'),
    [
        ('table99', 'train_cfg.max_epochs=5', 'table99/table.json; folders .*table10, .*table11'),
        ('table9', 'model.neck.kernel_size=5', "sets what row 'no_mrfc' changes"),
        ('table9', 'train_cfgs.max_epochs=5', "did you mean 'train_cfg'"),
        ('fig6_lam', 'model.head.lam=(1,1,1)', "sets what row 'lam_0.1_0.1_0.1' changes"),
        ('fig6_lam', 'randomness.seed=7', 'sets randomness.seed; take --seeds'),
        ('', 'train_cfg.max_epochs=5', 'folders with a table: .*/backbones, .*/fig6_lam'),
        ('table9', 'val_dataloader.dataset.protocol=chexnet', "protocol is 'official' in train_d"),
        ('table9', 'val_dataloader.dataset.split=test', "split is 'test', as for the validation"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(table, option, message):
    with pytest.raises((ValueError, OSError), match=message):
        build_plan(ROOT / 'configs/ablations' / table, None, [option])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(title=None), 'title and labels must be texts, got None'),
        (dict(rows={'row': dict(label=7)}), 'texts, got 7'),
        (dict(rows={'row': dict(label='x', paper=0.8)}), "values of 'row' must be numbers"),
        (dict(rows={'row': dict(label='x', paper={'CheXpert': '0.8'})}), 'must be numbers'),
        (dict(rows={'row': dict(label='x', papr={})}), "a row has no 'papr'"),
        (dict(rows={'row': dict()}), "no 'label'"),
        (
            dict(sweep=dict(key='model.head.lam', values=[1], paper={'lam_9': {}})),
            "sweep: paper has 'lam_9'",
        ),
    ],
)
def test_faults_of_a_table_json_are_named_before_any_training(tmp_path, change, message):
    (tmp_path / 'row.py').write_text("_base_ = 'x.py'\n")
    base = dict(label='base', config=str(ROOT / 'configs/mlrfnet_xray14.py'))
    content = dict(title='T', base=base, rows={'row': dict(label='row')})
    (tmp_path / 'table.json').write_text(json.dumps(content))
    assert [row.name for row in read_description(tmp_path).rows] == ['base', 'row']
    (tmp_path / 'table.json').write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=message):
        read_description(tmp_path)


def test_a_row_that_is_no_config_is_named(tmp_path):
    (tmp_path / 'row.py').write_text(
        f"_base_ = '{ROOT}/configs/mlrfnet_xray14.py'\n_base_.no.x = 1"
    )
    base = dict(label='base', config=str(ROOT / 'configs/mlrfnet_xray14.py'))
    content = dict(title='T', base=base, rows={'row': dict(label='row')})
    (tmp_path / 'table.json').write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match="row.py: AttributeError: 'ConfigDict' object has no attribute 'no'"
    ):
        build_plan(tmp_path)


def test_a_row_with_a_base_between_is_not_put_over_another(tmp_path):
    (tmp_path / 'row.py').write_text("_base_ = 'between.py'\n")
    (tmp_path / 'between.py').write_text("_base_ = 'base.py'\n")
    (tmp_path / 'base.py').write_text('')
    with pytest.raises(ValueError, match=r"names the table's base .*base.py, got \['between.py'\]"):
        rebase(tmp_path / 'row.py', tmp_path / 'base.py', PHANTOM)


def test_wrong_use_ends_in_one_line(run):
    arguments = ['configs/ablations/table9', '--only', 'no_ecca', '--dry-run']
    process = run(sys.executable, 'tools/ablate.py', *arguments, check=False)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(
        "mlrfnet ablate: no row 'no_ecca' in table9; it"
    )
    assert 'Traceback' not in process.stderr


def test_one_row_for_real(run, phantom, tmp_path):
    """A Slurm task's call; then the table alone, and the same call again trains nothing."""
    size = [
        f'{part}_dataloader.{key}={value}'
        for part in ('train', 'val', 'test')
        for key, value in {'dataset.data_root': phantom, 'num_workers': 0}.items()
    ]
    size += ['train_dataloader.dataset.indices=8', 'train_dataloader.batch_size=4']
    size += ['train_cfg.max_epochs=1', 'model.backbone.init_cfg=None']
    head = [sys.executable, 'tools/ablate.py', 'configs/ablations/table10', '--on', PHANTOM]
    head += ['--seeds', 3, '--only', 'resnet50', '--work-dir', tmp_path / 'w']
    command = [*head, '--out-dir', tmp_path / 'out', '--cfg-options', *size]
    output = run(*command).stdout
    assert 'row resnet50, seed 3: done in' in output
    done = json.loads((tmp_path / 'w/resnet50/seed3/done.json').read_text())
    assert done['data']['train']['items'] == 8
    page = (tmp_path / 'out/table10_on_mlrfnet_phantom.md').read_text()
    assert 'nothing is known about other seeds' in page
    assert '| ResNet-50 | — | 0.' in page and '| DenseNet-121 | — | not run |' in page
    assert '1 of 1 runs are done already' in run(*command).stdout


def test_a_changed_source_is_no_clean_commit(monkeypatch, tmp_path):
    def git(*args):
        subprocess.run(['git', '-C', tmp_path, *args], check=True, capture_output=True)

    git('init')
    (tmp_path / 'x.py').write_text('1')
    git('add', '.')
    git('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-m', 'x')
    monkeypatch.setattr(fingerprint, '__file__', str(tmp_path / 'x.py'))
    clean = fingerprint.commit()
    assert len(clean) >= 7 and not clean.endswith('-dirty')
    (tmp_path / 'x.py').write_text('2')
    assert fingerprint.commit() == f'{clean}-dirty'
