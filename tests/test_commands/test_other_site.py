"""mlrfnet adapt, drift, and predict --site, as a user calls them."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
from builders import make_predictions
from conftest import ROOT

from mlrfnet_mm.commands import adapt, drift
from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.reports.scores import calibrate

SAMPLE = ROOT.parent / 'shared/data/ChestX-ray14-sample'
QUICK = ['--replicates', '100']


@pytest.fixture
def model(tmp_path):
    """A folder with the files of a checkpoint, its validation predictions, and a site's."""
    folder = tmp_path / 'model'
    folder.mkdir()
    val = replace(make_predictions('val', 600, 1), checkpoint='0123456789ab')
    val.save(folder / 'val_predictions.npz')
    calibrate.write(folder, *calibrate.fit(val))
    site = make_predictions('test', 900, 2)
    kept = site.labels[:, 2] < np.random.default_rng(0).random(900) + 0.5
    site = replace(site.rows(kept), stamp='CheXpert held-out/valid', checkpoint='0123456789ab')
    site.save(tmp_path / 'site.npz')
    unlabeled = replace(site, labels=np.full_like(site.labels, np.nan))
    unlabeled.save(tmp_path / 'unlabeled.npz')
    return folder


def read(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_adapt_writes_below_the_checkpoint_what_prediction_reads(model, capsys):
    before = {path: path.read_bytes() for path in model.iterdir()}
    adapt.main([str(model), str(model.parent / 'site.npz'), *QUICK])
    assert before == {path: path.read_bytes() for path in model.iterdir() if path.is_file()}
    out = model / 'sites' / 'CheXpert'
    assert f'written     {out / "calibration.json"}' in capsys.readouterr().out
    names = Calibration.load(model).classes
    here = Decisions.next_to(model / 'x.pth', names, '0123456789ab', 'CheXpert')
    assert here.calibration.site == here.thresholds.site == 'CheXpert'
    assert here.stamp()['calibration'].startswith('adapted for the site CheXpert, fitted on CheX')
    home = Decisions.next_to(model / 'x.pth', names, '0123456789ab')
    assert home.calibration.site == ''
    rows = read(out / 'adaptation.csv')
    assert [row['update'] for row in rows] == ['platt', 'none', 'platt']
    assert rows[0]['site'] == 'CheXpert'


def test_without_labels_the_scores_of_validation_are_looked_at(model):
    adapt.main([str(model), str(model.parent / 'unlabeled.npz'), '--site', 'St Mary', *QUICK])
    rows = read(model / 'sites' / 'St Mary' / 'adaptation.csv')
    assert float(rows[2]['p_mix']) > 0 and rows[0]['labeled'] == '0'
    (model / 'val_predictions.npz').unlink()
    command = [str(model), str(model.parent / 'unlabeled.npz'), '--site', 'St Luke', *QUICK]
    with pytest.raises(SystemExit, match='no finding could be adapted, and nothing is written'):
        adapt.main(command)
    assert not (model / 'sites' / 'St Luke').exists()
    adapt.main([*command, '--update', 'none'])
    rows = read(model / 'sites' / 'St Luke' / 'adaptation.csv')
    assert rows[2]['p_mix'] == 'nan' and rows[2]['update'] == 'none'


def test_a_site_s_files_in_the_checkpoint_s_folder_need_its_name(model):
    adapt.main(
        [str(model), str(model.parent / 'site.npz'), '--out-dir', str(model), *QUICK]
    )  # fmt: skip
    names = Calibration.load(model).classes
    with pytest.raises(ValueError, match="for the site 'CheXpert', and the images are of no site"):
        Decisions.next_to(model / 'x.pth', names)
    with pytest.raises(ValueError, match="images are of 'St Mary': say --site CheXpert"):
        Decisions.next_to(model / 'x.pth', names, site='St Mary')
    assert Decisions.next_to(model / 'x.pth', names, site='CheXpert').thresholds.site == 'CheXpert'


def test_a_site_that_is_not_there_is_refused_with_those_that_are(model):
    adapt.main([str(model), str(model.parent / 'site.npz'), *QUICK])
    names = Calibration.load(model).classes
    message = "where the checkpoint was validated, not for the site 'x'.*there are: CheXpert"
    with pytest.raises(ValueError, match=message):
        Decisions.next_to(model / 'x.pth', names, site='x')
    for name in ('calibration.json', 'thresholds.json'):
        (model / name).unlink()
    with pytest.raises(ValueError, match=r'no .*sites.x.calibration.json.*there are: CheXpert'):
        Decisions.next_to(model / 'x.pth', names, site='x')


def test_parts_of_two_sites_are_refused(model):
    adapt.main([str(model), str(model.parent / 'site.npz'), *QUICK])
    out = model / 'sites' / 'CheXpert'
    replace(Thresholds.load(out), site='x').save(out)
    with pytest.raises(ValueError, match=r"thresholds.json is for the site 'x'"):
        Decisions.next_to(model / 'm.pth', Calibration.load(model).classes, site='CheXpert')


def test_mistakes_end_in_one_line(run, model):
    site = model.parent / 'site.npz'
    command = [sys.executable, '-m', 'mlrfnet_mm', 'adapt', model, site, '--site', '../x']
    process = run(*command, check=False)
    assert process.returncode == 2 and 'a site is named by letters' in process.stderr
    (model / 'calibration.json').unlink()
    with pytest.raises(FileNotFoundError, match='with mlrfnet calibrate'):
        adapt.main([str(model), str(site)])


def test_drift_of_predictions(model, capsys, tmp_path):
    drift.main(
        [str(model / 'val_predictions.npz'), str(model.parent / 'site.npz'),
         '--replicates', '199', '--out-dir', str(tmp_path / 'out')]
    )  # fmt: skip
    assert 'of 3 comparisons differ' in capsys.readouterr().out
    assert [row['what'] for row in read(tmp_path / 'out' / 'drift.csv')] == [
        'score: Edema', 'score: Hernia', 'score: Mass',
    ]  # fmt: skip


def test_drift_of_images_and_of_a_config(phantom, capsys, tmp_path):
    images = str(phantom / 'images')
    drift.main([images, images, '--workers', '2', '--replicates', '19'])
    assert '0 of 2 comparisons differ' in capsys.readouterr().out
    config = str(ROOT / 'configs/mlrfnet_phantom.py')
    roots = [f'{x}_dataloader.dataset.data_root={phantom}' for x in ('train', 'val', 'test')]
    drift.main([config, config, '--replicates', '19', '--workers', '2', '--cfg-options', *roots])
    printed = capsys.readouterr().out
    assert '0 of 5 comparisons differ' in printed
    assert all(what in printed for what in ('age', 'view', 'sex', 'brightness', 'contrast'))
    with pytest.raises(ValueError, match="has no split 'valid', there are: train, val, test"):
        drift.main([config, config, '--split', 'valid', '--cfg-options', *roots])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='no image in'):
        drift.main([images, str(tmp_path / 'empty')])
