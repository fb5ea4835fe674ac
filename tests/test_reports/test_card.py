"""mlrfnet card: from the folder of a run to a model card, and what the user writes in it."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from builders import make_predictions, write_run
from conftest import ROOT
from sklearn.metrics import average_precision_score, roc_auc_score

from mlrfnet_mm.commands import main
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.reports.audit.rows import Split
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.run_page.card import partitions, settings
from mlrfnet_mm.reports.run_page.card.answers import (
    ANSWERS,
    questions,
    read_answers,
    read_data,
    write_blank,
)
from mlrfnet_mm.reports.run_page.card.checklists import (
    NAMES,
    STATES,
    Evidence,
    answer_checklist,
    state_of,
)
from mlrfnet_mm.reports.run_page.card.training_log import duration, read_training
from mlrfnet_mm.reports.run_page.card.write import write_card
from mlrfnet_mm.reports.run_page.finished_run import read_run
from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

# what is true of a folder with nothing in it: of the program, not of a run
OF_THE_PROGRAM = {'task', 'availability', 'limits'}


@pytest.fixture
def work_dir(tmp_path, phantom):
    """A run's folder whose config names the small phantom."""
    parts = ('train', 'val', 'test')
    roots = {f'{part}_dataloader.dataset.data_root': str(phantom) for part in parts}
    return write_run(tmp_path / 'run', settings=roots)


def card(folder, **options):
    """The card's text without and with front matter, its head, and the JSON."""
    paths = write_card(folder, replicates=100, **options)
    text = paths[0].read_text()
    _, head, body = text.split('---\n', 2)
    return body, yaml.safe_load(head), json.loads(paths[1].read_text())


def entries(root):
    """Rows of the phantom's label table by image."""
    with (root / 'Data_Entry_2017_v2020.csv').open() as file:
        return {row[0]: row for row in list(csv.reader(file))[1:]}


def test_the_command_writes_card_and_questions(work_dir, capsys):
    main(['card', str(work_dir), '--replicates', '100'])
    printed = capsys.readouterr().out.splitlines()
    names = ('model_card.md', 'model_card.json', ANSWERS)
    assert [f'written     {work_dir}/{name}' for name in names] == printed[-6:-3]
    assert printed[-2].startswith('CLAIM: ')
    assert sum(map(int, re.findall(r'\d+', printed[-2]))) == 42
    main(['card', str(work_dir), '--replicates', '100', '--out-dir', str(work_dir / 'card')])
    assert (work_dir / 'card/model_card.md').read_text().count('## Intended use') == 1


def test_the_hub_s_library_reads_the_card_and_its_numbers_are_those_of_the_files(work_dir):
    hub = pytest.importorskip('huggingface_hub')
    write_card(work_dir, replicates=100)
    found = hub.ModelCard.load(work_dir / 'model_card.md').data
    assert (found.license, found.library_name) == ('unknown', 'mlrfnet-mm')
    assert found.model_name == 'run'
    p, val = (read_run(work_dir).predictions[n] for n in ('predictions.npz', 'val_predictions.npz'))
    metrics = {(r.metric_type, r.metric_name): r for r in found.eval_results}
    for k, name in ((0, 'Edema'), (2, 'Mass')):
        auc = roc_auc_score(p.labels[:, k], p.scores[:, k])
        assert metrics['roc_auc', f'AUC, {name}'].metric_value == pytest.approx(auc)
    aps = [average_precision_score(p.labels[:, k], p.scores[:, k]) for k in (0, 2)]
    mean = metrics['average_precision', 'average precision, mean'].metric_value
    assert mean == pytest.approx(np.mean(aps))
    assert not any('Hernia' in name for _, name in metrics)  # undefined
    # and every number of the files that mlrfnet evaluate writes
    evaluate_predictions(p, val, replicates=100).write(work_dir / 'files')
    with (work_dir / 'files/auc.csv').open() as file:
        rows = {row['finding']: row for row in csv.DictReader(file)}
    for name in ('Edema', 'Mass', 'mean'):
        result = metrics['roc_auc', f'AUC, {name}']
        assert result.metric_value == float(rows[name]['auc'])
        assert result.metric_args['low'] == float(rows[name]['auc_low'])
        assert result.metric_args['high'] == float(rows[name]['auc_high'])
        assert result.dataset_split == 'test' and result.dataset_config == 'official'
    with (work_dir / 'files/thresholds.csv').open() as file:
        macro = list(csv.DictReader(file))[-1]
    for kind, key in (('f1', 'F1'), ('sensitivity', 'sensitivity')):
        result = metrics[kind, f'{key}, macro average']
        assert result.metric_value == float(macro[key])
        assert result.metric_args['chosen_on'] == 'ChestX-ray14 official/val'


def test_the_splits_are_those_of_the_tables(work_dir, phantom):
    text, _, data = card(work_dir)
    rows = entries(phantom)
    test = [rows[name] for name in (phantom / 'test_list.txt').read_text().split()]
    counts = {record['split']: record for record in data['tables']['splits']['records']}
    assert counts['test']['images'] == len(test)
    assert counts['test']['patients'] == len({row[3] for row in test})
    women = sum(row[5] == 'F' for row in test) / len(test)
    assert data['tables']['sex']['records'][-1]['F'] == f'{women:.1%}'
    assert data['tables']['age']['records'][-1]['median'] == np.median([int(r[4]) for r in test])
    mass = next(r for r in data['tables']['prevalence']['records'] if r['finding'] == 'Mass')
    assert mass['test_positive'] == sum('Mass' in row[1].split('|') for row in test)
    assert 'train, val: 0; train, test: 0; val, test: 0' in data['evidence']['disjoint']['text']
    assert '| train, test | 0 | 0 | 0 |' in text


def test_a_patient_in_two_splits_is_counted(work_dir, phantom):
    log = next(work_dir.glob('*/vis_data/config.py'))
    cfg = read_config(log)
    cfg.val_dataloader.dataset.split = 'train'
    cfg.dump(log)
    evidence = card(work_dir)[2]['evidence']['disjoint']['text']
    rows, lists = entries(phantom), (phantom / 'train_val_list.txt').read_text().split()
    both = int(re.search(r'train, val: (\d+)', evidence)[1])
    assert 0 < both < len({rows[name][3] for name in lists})
    assert 'train, test: 0' in evidence


def test_patients_that_are_not_named_are_not_said_to_be_apart(monkeypatch, work_dir):
    def split(part, patients):
        n = len(patients)
        empty = [''] * n
        names = dict(part=part, source=0, stamp=f'x y/{part}', root=work_dir, classes=('Mass',))
        rows = dict(paths=[f'{part}{i}' for i in range(n)], images=empty, patients=patients)
        rows |= dict(studies=empty, views=empty, sexes=empty, ages=np.full(n, np.nan))
        return Split(**names, **rows, labels=np.zeros((n, 1)))

    pair = split('train', ['1', '2']), split('test', ['', ''])
    monkeypatch.setattr(partitions, 'read_splits', lambda cfg: (list(pair), []))
    found = partitions.read_partitions(read_run(work_dir))
    assert found.common() == 'train, test: not known'
    assert found.unknown() == 'train: 2 sex, 2 view, 2 age; test: 2 sex, 2 view, 2 patient, 2 age'


def test_data_that_are_not_here_are_said_to_be_missing(tmp_path):
    folder = write_run(tmp_path / 'run')
    cfg = read_config(log := next(folder.glob('*/vis_data/config.py')))
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = '/no/such/folder'
    cfg.dump(log)
    text, _, data = card(folder)
    assert 'Splits: not read, as ' in text and '/no/such/folder' in text
    assert data['evidence']['disjoint'] == dict(
        state='not run', text='', command=f'mlrfnet card {folder}'
    )


def test_nothing_is_invented_of_an_empty_folder(tmp_path):
    text, head, data = card(tmp_path)
    said = {key for key, e in data['evidence'].items() if e['text']}
    assert said == OF_THE_PROGRAM
    assert 'model-index' not in head and 'datasets' not in head
    for checklist in data['checklists'].values():
        for item in checklist['items']:
            assert item['state'] != 'answered' or set(item['keys']) <= OF_THE_PROGRAM
    assert 'Test predictions: not run. Make it with `mlrfnet test CONFIG' in text


def test_what_the_user_wrote_is_kept_and_shown(work_dir):
    before = card(work_dir)[2]['checklists']['claim']['counts']
    path = work_dir / ANSWERS
    text = path.read_text()
    assert re.findall(r'^(\w+):$', text, re.M) == [k for keys in questions().values() for k in keys]
    text = text.replace('name:', 'name: My model', 1).replace('license:', 'license: apache-2.0')
    text = text.replace(
        'intended_use:\n',
        'intended_use: |\n  To try the software.\n\n  *Not* on patients: 1 < 2.\n',
    )
    text = text.replace('funding:', 'funding: nobody # really')
    path.write_text(text)
    body, head, data = card(work_dir)
    assert path.read_text() == text
    assert head['license'] == 'apache-2.0' and head['model-index'][0]['name'] == 'My model'
    assert '# Model card of My model' in body and '**These weights**: apache-2.0; ' in body
    assert 'To try the software.\n\n*Not* on patients: 1 < 2.' in body
    assert '`intended_use` in' not in body and '(`intended_use`)' not in body
    assert '**Who paid**: nobody\n' in body
    items = {item['item']: item for item in data['checklists']['claim']['items']}
    assert (items['42']['state'], items['42']['text']) == ('answered', 'nobody.')
    assert items['41']['state'] == 'to be written by you'
    after = data['checklists']['claim']['counts']
    assert after['answered'] == before['answered'] + 1
    assert after['in part'] == before['in part'] + 1  # item 3: intended use, no background
    row = next(line for line in body.splitlines() if line.startswith('| 3b |'))
    assert 'To try the software. *Not* on patients: 1 &lt; 2; to be written by you' in row


def test_a_card_that_was_changed_by_hand_is_not_lost(work_dir):
    path = write_card(work_dir, replicates=100)[0]
    edited = path.read_text().replace('# Model card', '# My model card')
    path.write_text(edited)
    with pytest.raises(FileExistsError, match=r'model_card\.md was changed .*card_answers\.yaml'):
        write_card(work_dir, replicates=100)
    assert path.read_text() == edited
    (work_dir / 'model_card.json').unlink()
    with pytest.raises(FileExistsError, match='changed since mlrfnet card wrote it, or is not'):
        write_card(work_dir, replicates=100)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('intended_use: a\nintended_user: b\n', "line 2: no question 'intended_user'; there are"),
        ('funding: a\n\nfunding: b\n', 'line 3: funding is on line 1 already'),
        ('funding: [a, b]\n', 'line 1: funding must be a text, found a sequence: put it behind'),
        ('- funding\n', 'must hold lines of "key: answer", found a sequence'),
        ('funding: "a\n', 'is not a YAML file'),
    ],
)
def test_answers_that_cannot_be_read_are_named(tmp_path, text, message):
    (tmp_path / ANSWERS).write_text(text)
    with pytest.raises(ValueError, match=f'{ANSWERS}.*{re.escape(message)}'):
        read_answers(tmp_path / ANSWERS)


def test_answers_are_taken_as_they_are_written(tmp_path):
    path = write_blank(tmp_path, 'run')
    assert set(read_answers(path).values()) == {''}
    path.write_text('license: 1.10\ndata_dates: 2026-01-02\nfunding: yes\nethics: ""\nauthors: ~\n')
    found = read_answers(path)
    assert [found[k] for k in ('license', 'data_dates', 'funding')] == ['1.10', '2026-01-02', 'yes']
    assert found['ethics'] == found['authors'] == ''
    assert write_blank(tmp_path, 'run') is None


def test_the_lists_have_all_their_items(work_dir):
    tripod, claim, fda = (read_data(name)['items'] for name in NAMES)
    numbers = [int(re.match(r'\d+', item['item'])[0]) for item in tripod]
    assert sorted(set(numbers)) == list(range(1, 28)) and numbers == sorted(numbers)
    assert len({item['item'] for item in tripod}) == len(tripod) == 52
    assert [item['item'] for item in claim] == [str(i) for i in range(1, 43)]
    assert [item['item'] for item in fda] == [str(i) for i in range(1, len(fda) + 1)]
    known = card(work_dir)[2]['evidence']
    used = {key for items in (tripod, claim, fda) for item in items for key in item['evidence']}
    assert used <= set(known)
    # every question is asked by a list, but for four that a card needs
    asked = {key for keys in questions().values() for key in keys}
    assert asked - used == {'name', 'license', 'authors', 'own_data'}


@pytest.mark.parametrize(
    ('states', 'expected'),
    [
        ([0, 0], 0), ([0, 1], 1), ([0, 2], 1), ([0, 3], 1), ([1, 2], 1), ([2, 2], 2), ([2, 3], 2),
        ([3, 3], 3), ([3], 3), ([1, 1], 1),
    ],
)  # fmt: skip
def test_the_state_of_an_item_is_that_of_its_evidence(states, expected):
    assert state_of([STATES[i] for i in states]) == STATES[expected]


def test_evidence_is_in_part_where_something_is_left_to_run():
    assert (
        Evidence('a', 'b').state == 'in part' and Evidence('a', 'b').shown('k') == 'a not run: `b`'
    )
    assert Evidence(command='b').shown('k') == 'not run: `b`'
    assert Evidence().shown('k') == f'to be written by you (`k` in {ANSWERS})'
    everything = {key: Evidence('yes') for name in NAMES for item in read_data(name)['items']
                  for key in item['evidence']}  # fmt: skip
    for name in NAMES:
        found = answer_checklist(name, everything)
        assert found.counts()['answered'] == len(found.answers)


def test_the_facts_of_data_sets_are_those_of_the_documents():
    lines = (ROOT / 'docs/data-sets.md').read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')] for line in lines if line[:2] == '| '
    ]
    rows = [row for row in rows if len(row) == 6 and row[0].startswith(('[', 'the same'))]
    pages = {re.search(r'\((http.*?)\)', row[0])[1]: (row[4], row[5]) for row in rows}
    facts = read_data('data_sets')
    made = facts.pop('generated phantom')
    assert 'no patient' in made['access']
    found = {f['url']: (f['labels'], f['access']) for f in facts.values()}
    assert found == pages


LOG = """{start} - mmengine - INFO -
    Python: 3.11.7 (main)
    CUDA available: True
    GPU 0,1: NVIDIA H100
    PyTorch: 2.14.1+cu130
    MMEngine: 0.10.7
{start} - mmengine - INFO - Machine: 16 cores, NVIDIA H100. Data loaders, where the config is open
{end} - mmengine - INFO - Epoch({kind})  [{epoch}][10/23]  lr: 1e-4
"""


def test_hours_and_hardware_are_those_of_the_logs(tmp_path):
    spans = [('00:00:00', '01:30:00', 'train', 2), ('05:00:00', '05:30:00', 'train', 3)]
    spans.append(('07:00:00', '09:00:00', 'test', 9))
    for i, (start, end, kind, epoch) in enumerate(spans):
        (tmp_path / str(i)).mkdir()
        start, end = (f'2026/01/02 {time}' for time in (start, end))
        (tmp_path / str(i) / 'x.log').write_text(
            LOG.format(start=start, end=end, kind=kind, epoch=epoch)
        )
    (tmp_path / 'begun.json').write_text('{"commit": "abc", "started": "x"}')
    found = read_training(tmp_path)
    assert (found.seconds, found.logs, found.epochs) == (7200, 2, 3)
    assert found.machine == {
        'Python': '3.11.7', 'GPU': 'NVIDIA H100', 'PyTorch': '2.14.1+cu130', 'MMEngine': '0.10.7',
        'machine': '16 cores, NVIDIA H100',
    }  # fmt: skip
    assert found.record['commit'] == 'abc'
    assert (duration(7200), duration(90)) == ('2.0 hours', '1.5 minutes')


def test_no_log_is_no_time(tmp_path):
    assert read_training(tmp_path).machine == {}


def test_the_checkpoint_is_named_and_counts_are_read_from_it(work_dir):
    torch = pytest.importorskip('torch')
    path = work_dir / 'best_val_loss_epoch_2.pth'
    torch.save(dict(meta=dict(epoch=2, seed=5), state_dict={}), path)
    for name in ('predictions', 'val_predictions'):
        split = 'test' if name == 'predictions' else 'val'
        p = make_predictions(split, seed=split == 'val')
        replace(p, checkpoint=checkpoint_digest(path)).save(work_dir / f'{name}.npz')
    (work_dir / 'calibration.json').unlink()
    assert read_training(work_dir, path).checkpoint == dict(epoch=2, seed=5)
    evidence = card(work_dir)[2]['evidence']
    assert f'{path.name}, SHA-256 {checkpoint_digest(path)}' in evidence['availability']['text']
    assert evidence['ensembling']['text'] == 'None: one network, one checkpoint'
    assert 'epoch 2 of' in evidence['selection']['text']
    path.write_bytes(b'not a checkpoint')
    assert read_training(work_dir, path).checkpoint == {}


def test_tables_of_other_commands_and_other_data_are_in_the_card(work_dir):
    rows = [dict(finding=f'f{i}', auc=i / 100) for i in range(60)]
    Table('groups_sex', '', {}, rows).write_csv(work_dir, dict(date='2026-01-01'))
    (work_dir / 'failures').mkdir()
    case = dict(finding='Mass', image='x.png', sex='F', age=101)
    Table('failures', '', {}, [case]).write_csv(work_dir / 'failures', {})
    other = replace(make_predictions(seed=3), stamp='CheXpert (model of x y/z) held-out/valid')
    other.save(work_dir / 'on_chexpert.npz')
    make_predictions('train', seed=4).save(work_dir / 'train_predictions.npz')
    text, _, data = card(work_dir)
    assert len(data['tables']['groups_sex']['records']) == 60
    assert '| f39 |' in text and '| f40 |' not in text
    # a card may be published: no row on one image
    assert '1 cases in failures/failures.csv.' in text and '| 101 |' not in text
    assert 'failures/failures' not in data['tables'] and '"age": 101' not in json.dumps(data)
    assert data['evidence']['subgroups'] == dict(
        state='answered', text='See Subgroups: groups_sex.csv', command=''
    )
    aucs = [roc_auc_score(other.labels[:, k], other.scores[:, k]) for k in (0, 2)]
    (record,) = data['tables']['external']['records']
    assert record['auc'] == pytest.approx(np.mean(aucs)) and record['file'] == 'on_chexpert.npz'
    val = make_predictions('val', seed=1)
    auc = np.mean([roc_auc_score(val.labels[:, k], val.scores[:, k]) for k in (0, 2)])
    assert f'on validation {auc:.3f} (90 images)' in data['evidence']['all_splits']['text']
    assert 'Mean AUC on CheXpert (model of x y/z)' in data['evidence']['external_test']['text']


def test_two_data_sets_are_both_described(work_dir):
    replace(make_predictions(), stamp='CheXpert held-out/valid').save(work_dir / 'predictions.npz')
    (work_dir / 'val_predictions.npz').unlink()
    _, head, data = card(work_dir)
    source = data['evidence']['data_source']['text']
    assert source.startswith('generated phantom; CheXpert: https://')
    assert head['datasets'] == ['generated-phantom', 'chexpert']
    assert 'generated phantom: everyone' in data['evidence']['data_access']['text']


def test_the_radiologists_labels_are_not_taken_for_those_of_the_reports(tmp_path):
    folder = write_run(tmp_path / 'run')
    stamp = 'ChestX-ray14 (radiologists) google2019/test'
    replace(make_predictions(), stamp=stamp).save(folder / 'predictions.npz')
    (folder / 'val_predictions.npz').unlink()
    evidence = card(folder)[2]['evidence']
    assert evidence['reference_standard']['text'] == 'Labels: 4, read from the images'


def test_initial_weights_have_their_license():
    cfg = read_config('configs/mlrfnet_xray14.py')
    assert settings.initial_weights(cfg) == [
        'TimmPretrained res2net50_26w_4s.in1k (license: unknown, as timm records it)'
    ]
    cfg.model.backbone.init_cfg = dict(
        type='mlrfnet_mm.XrayPretrained', source='eva_x_tiny', checkpoint='x.pth'
    )
    cfg.load_from = 'other.pth'
    assert settings.initial_weights(cfg) == [
        'chest X-ray weights eva_x_tiny (license: MIT by the badge of its README; no license file '
        'was seen)',
        'checkpoint other.pth (license: not recorded)',
    ]
    cfg.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint='my/file.pth')
    assert settings.initial_weights(cfg)[0] == 'TimmPretrained my/file.pth (license: not recorded)'
    cfg.model.backbone.init_cfg, cfg.load_from = None, None
    assert settings.initial_weights(cfg) == []


def test_a_config_in_words():
    cfg = read_config('configs/mlrfnet_xray14.py')
    assert 'backbone Res2Net (depth=50, scales=4, base_width=26' in settings.network(cfg)
    assert settings.loss_and_sampler(cfg) == ('BiasedFocalLoss', 'DefaultSampler')
    assert settings.steps(cfg, 'test').startswith('LoadXray → XrayGeometry (scale=256, crop_size=2')
    assert 'optimizer Adam (lr=0.0001)' in settings.schedule(cfg)
    assert 'at most 20 epochs' in settings.schedule(cfg)
