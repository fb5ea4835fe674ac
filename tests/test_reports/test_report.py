import hashlib
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from builders import make_predictions, write_log, write_run
from mmengine.config import Config
from PIL import Image
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.reports.output.page import Absent, Section, html_page
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.run_page import sections
from mlrfnet_mm.reports.run_page.finished_run import read_run
from mlrfnet_mm.reports.run_page.found.tables import as_table, cut, find, read_rows
from mlrfnet_mm.reports.run_page.found.topics import TOPICS
from mlrfnet_mm.reports.run_page.sections import config_difference
from mlrfnet_mm.reports.run_page.write import write_report
from mlrfnet_mm.reports.scores import paper
from mlrfnet_mm.reports.scores.paper import TABLE_5, TABLE_5_STAMP, paper_aucs
from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

CONFIG = 'configs/mlrfnet_phantom.py'


@pytest.fixture
def work_dir(tmp_path):
    """A run's folder, made by hand: log, config, predictions, calibration."""
    folder = write_run(tmp_path / 'run')
    (folder / 'localisation.csv').write_text(
        'finding,hit,hit_low,hit_high,date\nMass,0.5,0.25,0.75,d\nNodule,0.25,0,0.5,d\n'
    )
    return folder


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.rows = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attrs = dict(attrs)
        self.sources += [attrs[key] for key in ('src', 'href') if key in attrs]
        if tag == 'tr':
            self.rows.append([])

    def handle_data(self, data):
        if self.tags[-1:] == ['td']:
            self.rows[-1].append(data)


def test_a_whole_run(work_dir):
    html, markdown = (path.read_text() for path in write_report(work_dir, replicates=100))
    page = Page(html)
    assert page.tags.count('img') == 4  # curves, ROC, precision-recall, reliability
    inside = ('data:image/png;base64,', '#section-')  # no other file, no other host
    assert all(source.startswith(inside) for source in page.sources)
    assert page.tags.count('script') == 1  # the page's own, which sorts tables
    for text in (html, markdown):
        for expected in (
            'ChestX-ray14 official/train: 765 images, 268 patients; positives: Edema 72',
            'train_cfg.max_epochs',
            'platt calibration fitted on ChestX-ray14 official/val',
            'thresholds by youden, chosen on ChestX-ray14 official/val',
            'No paper column',
            'Localisation',
            'date d',
            f'mlrfnet complexity {work_dir}/mlrfnet_phantom.py --out',
            'Research use, not for diagnosis.',
        ):
            assert expected in text
    for title in ('Subgroups', 'Robustness', 'Complexity', 'Failures'):
        assert f'{title}: not run. Make it with' in markdown
    assert 'Localisation: not run' not in markdown
    for name in ('curves', 'roc', 'pr', 'reliability'):
        assert f'(report_files/{name}.png)' in markdown
        assert (work_dir / 'report_files' / f'{name}.png').is_file()
    assert '| Nodule | 0.250 (0–0.500) |' in markdown
    assert 'is not of a checkpoint' not in markdown


def test_the_summary_comes_first_and_the_rest_is_folded(work_dir):
    html, markdown = (path.read_text() for path in write_report(work_dir, replicates=100))
    summary = markdown.split('## Protocol and data')[0]
    p = read_run(work_dir).scored('predictions.npz')
    aucs = {
        name: roc_auc_score(p.labels[:, k], p.scores[:, k])
        for k, name in ((0, 'Edema'), (2, 'Mass'))
    }
    for name, auc in aucs.items():
        assert f'{name} {auc:.3f} (' in summary
    assert f'| AUC, mean (95 % interval) | {np.mean(list(aucs.values())):.3f} (' in summary
    worse = min(aucs, key=aucs.get)
    assert f'| weakest findings (AUC) | {worse} ' in summary
    assert 'No AUC, as the test set has one label value only: Hernia.' in summary
    assert '| tested on | ChestX-ray14, test: 90 images, 30 patients |' in summary
    assert '| protocol | official |' in summary and 'training 0, bootstrap 0' in summary
    assert 'One training with one seed' in summary
    assert html.count('<details class="fold"') == html.count('<h2') - 2
    assert html.index('<h2 id="section-1">Summary') < html.index('<details class="fold"')


def test_tables_of_other_commands_are_shown_where_they_are(work_dir):
    records = [
        dict(finding='Mass', group='F', auc=0.75, auc_low=0.5, auc_high=0.875, rule='youden'),
        dict(finding='Edema', group='M', auc=0.5, auc_low=np.nan, auc_high=np.nan, rule='youden'),
    ]
    stamp = dict(dataset='ChestX-ray14', seed=0, date='2026-01-01')
    Image.new('RGB', (9, 9)).save(work_dir / 'forest_sex.png')
    Table('groups_sex', '', {}, records).write_csv(work_dir, stamp)
    for name in ('robustness', 'failures'):
        (work_dir / name).mkdir()
    robust = [dict(noise=1, mean_low=0.25, mean_high=0.5)]
    Table('robustness', '', {}, robust).write_csv(work_dir / 'robustness', stamp)
    failed = [dict(finding=name, image=f'{name}.png', score=0.5) for name in ('Mass', 'Edema')]
    Table('failures', '', {}, failed).write_csv(work_dir / 'failures', stamp)
    (work_dir / 'failures/index.html').touch()
    markdown = write_report(work_dir, replicates=100)[1].read_text()
    part = markdown.split('## Subgroups')[1].split('## ')[1:]
    assert '| finding | group | auc |' in part[0]
    assert '| Mass | F | 0.750 (0.500–0.875) |\n| Edema | M | 0.500 (–) |' in part[0]
    assert 'rule youden, dataset ChestX-ray14, seed 0, date 2026-01-01' in part[0]
    assert '| noise | mean |\n| --- | ---: |\n| 1 | 0.250–0.500 |' in markdown
    assert 'Subgroups: not run' not in markdown and 'Drift' not in markdown.split('## Not run')[0]
    assert '![forest sex](forest_sex.png)' in markdown
    assert 'More in failures/index.html.' in markdown
    assert 'Mass.png' not in markdown  # who looks at a page need not know the files
    limit = next(line for line in markdown.splitlines() if 'Not run: ' in line)
    assert 'ubgroups' not in limit and 'obustness' not in limit and 'clinical use' in limit


TOPIC = TOPICS[0]


def test_a_table_of_other_weights_is_named_and_not_taken(work_dir):
    replace(make_predictions(), checkpoint='0123456789ab').save(work_dir / 'predictions.npz')
    for name, digest in (('groups_sex', 'ba9876543210'), ('groups_view', '0123456789ab')):
        Table(name, '', {}, [dict(finding='Mass', auc=0.5)]).write_csv(
            work_dir, dict(sha256=digest)
        )
    found = find(read_run(work_dir), TOPIC)
    assert [table.name for table in found.tables] == ['groups_view']
    (text,) = found.stale
    assert text.startswith('groups_sex.csv is of other weights (SHA-256 ba9876543210…, those of')
    assert f'--out-dir {work_dir}' in text


def test_the_statistics_say_of_which_weights_they_are():
    p = replace(make_predictions(), checkpoint='0123456789ab')
    assert evaluate_predictions(p, replicates=100).stamp['sha256'] == '0123456789ab'
    assert 'sha256' not in evaluate_predictions(make_predictions(), replicates=100).stamp


def test_a_column_with_a_name_of_the_stamp_is_kept(tmp_path):
    rows = [dict(group='F', patients=3), dict(group='M', patients=4)]
    path = Table('groups_sex', '', {}, rows).write_csv(tmp_path, dict(patients=7, seed=0))
    assert path.read_text().splitlines() == [
        'group,patients,stamp_patients,seed', 'F,3,7,0', 'M,4,7,0',
    ]  # fmt: skip
    table = as_table('groups_sex', read_rows(path))
    assert table.rows() == [['F', '3'], ['M', '4']]
    assert table.notes == ['stamp_patients 7, seed 0']


def test_a_broken_table_is_named(work_dir):
    (work_dir / 'groups_sex.csv').write_text('a,b\n1,2\n3\n')
    with pytest.raises(ValueError, match=r'groups_sex\.csv, line 3: not as many values'):
        find(read_run(work_dir), TOPIC)


def test_many_rows_are_cut_on_the_page():
    rows = [dict(finding=f'row {i}', auc=str(i / 1000)) for i in range(300)]
    table = cut(as_table('groups_sex', rows))
    assert [row[0] for row in table.rows()] == [f'row {i}' for i in range(200)]
    assert table.notes == ['The first 200 of 300 rows; groups_sex.csv has them all.']


def test_predictions_of_another_checkpoint_are_named(work_dir):
    (work_dir / 'best_val_loss_epoch_2.pth').write_bytes(b'weights')
    replace(make_predictions(), checkpoint='0123456789ab').save(work_dir / 'predictions.npz')
    own = hashlib.sha256(b'weights').hexdigest()[:12]
    replace(make_predictions('val', seed=1), checkpoint=own).save(work_dir / 'val_predictions.npz')
    text = write_report(work_dir, replicates=100)[1].read_text()
    (line,) = [x for x in text.splitlines() if 'is not of a checkpoint in this folder' in x]
    assert line.startswith('predictions.npz') and f'--out {work_dir}/predictions.npz' in line


def test_chexpert_is_reported_by_study_and_its_scored_classes(work_dir):
    for name, predictions in (
        ('predictions', make_predictions()),
        ('val_predictions', make_predictions('val', seed=1)),
    ):
        n = len(predictions.images)
        studies = np.array([f'{patient}/study1' for patient in predictions.patients])
        _, first = np.unique(studies, return_inverse=True)
        labels = predictions.labels[np.unique(first, return_index=True)[1]][first]
        more = dict(studies=studies, views=np.full(n, 'Frontal'), labels=labels)
        scored = predictions.classes[:2]
        replace(predictions, scored=scored, **more).save(work_dir / f'{name}.npz')
    text = write_report(work_dir, replicates=100)[1].read_text()
    assert 'per study (maximum over its images)' in text
    assert '| mean of the 2 scored |' in text
    assert (work_dir / 'report_files/roc.png').is_file()


def test_an_empty_folder_says_which_commands_make_what(run, tmp_path):
    printed = run(sys.executable, 'tools/report.py', tmp_path).stdout
    assert printed.split() == [
        'written',
        f'{tmp_path}/report.html',
        'written',
        f'{tmp_path}/report.md',
    ]
    text = (tmp_path / 'report.md').read_text()
    for part, command in {
        'Curves': 'mlrfnet train',
        'Test predictions': f'mlrfnet test CONFIG {tmp_path} --out {tmp_path}/p',
        'Validation predictions': f'{tmp_path}/val_predictions.npz --split val',
        'Calibration': f'mlrfnet calibrate {tmp_path} {tmp_path}/val_predictions.npz',
        'Localisation': 'mlrfnet localise',
        'Complexity': 'mlrfnet complexity',
    }.items():
        line = next(x for x in text.splitlines() if x.startswith(f'{part}: not run'))
        assert command in line


def test_no_folder_is_one_line(run, tmp_path):
    process = run(sys.executable, 'tools/report.py', tmp_path / 'x', check=False)
    assert process.returncode == 2
    assert process.stderr.startswith('mlrfnet report: no work directory')


def test_the_paper_s_column_is_for_its_protocol_and_all_its_images_only(work_dir, monkeypatch):
    monkeypatch.setattr(paper, 'TABLE_5_IMAGES', 90)
    test = replace(make_predictions(), stamp=TABLE_5_STAMP)
    test.save(work_dir / 'predictions.npz')
    (work_dir / 'val_predictions.npz').unlink()
    text = write_report(work_dir, replicates=100)[1].read_text()
    header = '| finding | n | positives | of patients | AUC (bootstrap) | DeLong | AP (bootstrap) |'
    assert f'{header} paper |' in text
    row = next(line for line in text.splitlines() if line.startswith('| Mass | 90'))
    assert row.endswith('| 0.858 |')
    for stamp in (
        'ChestX-ray14 official/test',
        'generated phantom chexnet/test',
        'ChestX-ray14 chexnet/val',
    ):
        assert paper_aucs(stamp, 90) == {}
    assert paper_aucs(TABLE_5_STAMP, 89) == {}


def test_the_paper_s_values_have_the_mean_of_the_spec():
    values = [v for k, v in TABLE_5.items() if k != 'mean']
    assert len(values) == 14
    assert np.mean(values) == pytest.approx(0.852, abs=5e-4)


def test_config_difference_is_what_was_changed():
    base = read_config('configs/mlrfnet_xray14.py')
    changed = read_config('configs/mlrfnet_xray14.py')
    assert config_difference(changed, base) == []
    changed.model.head.lam = (0.5, 0.3, 0.3)
    changed.work_dir = 'elsewhere'
    changed.randomness.deterministic = True
    changed.train_dataloader.dataset.pipeline[1].flip = 0
    assert config_difference(changed, base) == [
        {'key': 'model.head.lam.2', 'base': '0.1', 'run': '0.3'},
        {'key': 'randomness.deterministic', 'base': '–', 'run': 'True'},
        {'key': 'train_dataloader.dataset.pipeline.1.flip', 'base': '0.5', 'run': '0'},
    ]


def test_every_text_is_escaped():
    evil = '<script>alert("x")</script>'
    table = Table('t', evil, {evil: 'a'}, [{'a': evil}], [evil])
    page = html_page(evil, [Section(evil, [evil, table, Absent(evil, evil)])])
    assert '<script>alert' not in page
    assert page.count('&lt;script&gt;') == 10


def test_the_config_of_the_last_training_is_taken(work_dir):
    assert read_run(work_dir).config_name == 'mlrfnet_phantom'
    assert read_run(work_dir).config.train_cfg.max_epochs == 4


def test_the_seed_is_that_of_the_intervals(work_dir):
    page = write_report(work_dir, replicates=100, seed=7)[1].read_text()
    p = read_run(work_dir).scored('predictions.npz')
    for row in evaluate_predictions(p, replicates=100, seed=7).tables[0].rows():
        assert '| ' + ' | '.join(row[:3]) in page and row[3] in page
    assert '| test: seed | 7 |' in page


def test_calibration_is_judged_on_the_test_predictions(work_dir):
    page = write_report(work_dir, replicates=100)[1].read_text()
    fitted = 'platt calibration fitted on ChestX-ray14 official/val'
    assert f'### ChestX-ray14 official/test: {fitted}' in page


def test_the_config_is_that_of_the_last_training(work_dir):
    write_log(work_dir, '20260102_000000', [3])
    cfg = read_config(CONFIG)
    cfg.train_cfg.max_epochs = 9
    cfg.dump(work_dir / '20260102_000000/vis_data/config.py')
    assert read_run(work_dir).config.train_cfg.max_epochs == 9


@pytest.mark.parametrize('wrap', [False, True])
@pytest.mark.parametrize('name', ['mlrfnet_mm.ChestXray14', 'ChestXray14'])
def test_the_main_config_of_the_data_is_found_by_what_they_are(wrap, name):
    data = dict(type=name)
    cfg = Config(dict(default_scope='mlrfnet_mm', train_dataloader=dict(dataset=data)))
    if wrap:
        cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=data)
    assert sections._main_config(cfg) == 'mlrfnet_xray14'
    assert sections._main_config(Config({})) is None
