"""The sections of a run's page: each from what is there, or naming the command that makes it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS

from mlrfnet_mm.datasets import ChestXray14, CheXpert
from mlrfnet_mm.engine.config_keys import differences
from mlrfnet_mm.engine.launch import RUNNER_KEYS, read_config
from mlrfnet_mm.engine.parts import is_part, leaf_datasets
from mlrfnet_mm.evaluation import Thresholds
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.reports.output.curves import plot_curves
from mlrfnet_mm.reports.output.page import Absent, Picture, Section
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.run_page.finished_run import TEST, VAL, Run, test_command, two_checkpoints
from mlrfnet_mm.reports.run_page.results import Results
from mlrfnet_mm.reports.scores.paper import TABLE_5_IMAGES, TABLE_5_STAMP, paper_aucs
from mlrfnet_mm.reports.scores.reliability_figure import plot_reliability
from mlrfnet_mm.reports.scores.roc_figure import plot_areas
from mlrfnet_mm.reports.scores.statistics import Statistics

FIGURES = 'report_files'
# The shipped main config of each data set: what a run's config is compared with.
BASES = {ChestXray14: 'mlrfnet_xray14', CheXpert: 'mlrfnet_chexpert'}
OPTIONS = {TEST: '', VAL: ' --split val'}  # of mlrfnet test
COMPARED = RUNNER_KEYS - {'work_dir', 'launcher', 'load_from', 'resume', 'experiment_name'}


def protocol_section(run: Run, statistics: Statistics | None) -> Section:
    """What was trained and tested on what, with the counts that the runs logged."""
    records: list[Record] = [{'what': 'config', 'value': run.config_name}]
    if run.config is not None:
        schedule = run.config.get('train_cfg') or {}
        seed = (run.config.get('randomness') or {}).get('seed')
        records += [
            {'what': 'epochs at most', 'value': str(schedule.get('max_epochs', '–'))},
            {'what': 'training seed', 'value': str(seed)},
        ]
    best = sorted(path.name for path in run.folder.glob('best_*.pth'))
    records.append({'what': 'best checkpoint', 'value': ', '.join(best) or '–'})
    for key, value in (statistics.stamp if statistics else {}).items():
        records.append({'what': f'test: {key}', 'value': value})
    table = Table('protocol', 'Run', {'': 'what', 'value': 'value'}, records)
    section = Section('Protocol and data', [table], folded=True)
    digests = {checkpoint_digest(path) for path in run.folder.glob('*.pth')}
    section.blocks += [
        f'{name} is not of a checkpoint in this folder (SHA-256 {found.checkpoint}…); make it '
        f'again with {test_command(run, name, OPTIONS[name])}'
        for name, found in run.predictions.items()
        if found is not None and found.checkpoint and found.checkpoint not in digests
    ]
    counts = list(dict.fromkeys(_data_lines(run.folder)))
    section.blocks += [f'Data, as logged: {line}' for line in counts]
    if not counts:
        section.blocks.append(Absent('Data counts (a log)', f'mlrfnet train {run.quoted()[0]}'))
    return section


def _data_lines(folder: Path) -> Iterator[str]:
    """The data sets' own lines in the logs: images, patients and positives of each split."""
    for log in sorted(folder.glob('*/*.log')):
        for line in log.read_text(encoding='utf-8', errors='replace').splitlines():
            found = re.search(r' - INFO - (\S.* \S+/\S+: [\d,]+ images\b.*patients.*)$', line)
            if found:
                yield found[1]


def config_difference(config: Config, base: Config) -> list[Record]:
    """Keys that a runner reads and that differ, with both values; – for a key that is not there."""
    return [
        {'key': key, 'base': _shown(old), 'run': _shown(new)}
        for key, (old, new) in differences(config, base).items()
        if key.split('.')[0] in COMPARED
    ]


def _shown(value: object) -> str:
    return '–' if value is ... else repr(value)


def _main_config(config: Config) -> str | None:
    """Name of the main config of the data that a run was trained on; None for other data."""
    scope = config.get('default_scope')
    for data in leaf_datasets((config.get('train_dataloader') or {}).get('dataset')):
        for kind, name in BASES.items():
            if isinstance(data, Mapping) and is_part(DATASETS, data.get('type'), scope, kind):
                return name
    return None


def config_section(run: Run, base: str | None) -> Section:
    """Keys in which the config differs from its base."""
    section = Section('Config', folded=True)
    if run.config is None:
        command = f'mlrfnet train {run.quoted()[0]}'
        section.blocks.append(Absent('The config of a training', command))
        return section
    base = base or _main_config(run.config)
    if base is None:
        section.blocks.append(
            'Not compared: the data set has no main config here; name one with --base.'
        )
        return section
    records = config_difference(run.config, read_config(base))
    columns = {'key': 'key', 'base': 'base', 'run': 'run'}
    notes = [] if records else ['No difference.']
    section.blocks.append(Table('config', f'Difference to {base}', columns, records, notes))
    return section


def curves_section(run: Run) -> Section:
    """Figs. 8 and 9."""
    section = Section('Loss and AUC over the training', folded=True)
    try:
        (run.folder / FIGURES).mkdir(exist_ok=True)
        path = plot_curves(run.folder, run.folder / FIGURES / 'curves.png')
        section.blocks.append(Picture(path, 'Loss and validation AUC over the epochs'))
    except FileNotFoundError:
        section.blocks.append(Absent('Curves', f'mlrfnet train {run.quoted()[0]}'))
    return section


def areas_section(run: Run, statistics: Statistics | None) -> Section:
    """AUC table with the paper's column where it belongs, ROC and precision-recall grids."""
    section = Section('AUC and average precision', folded=True)
    test = run.scored(TEST)
    if test is None or statistics is None:
        section.blocks.append(Absent('Test predictions', test_command(run, TEST)))
        return section
    table = statistics.tables[0]
    paper = paper_aucs(test.stamp, len(test.images))
    if paper:
        table.columns = {**table.columns, 'paper': 'paper'}
        for record in table.records:
            record['paper'] = paper[str(record['finding'])]
        table.notes = [*table.notes, "Column paper: Li et al. 2023, Table 5; not this project's."]
    else:
        table.notes = [
            *table.notes,
            f"No paper column: the paper's values are for {TABLE_5_STAMP}, all {TABLE_5_IMAGES:,} "
            'images.',
        ]
    section.blocks.append(table)
    for kind, caption in (('roc', 'ROC curves'), ('pr', 'Precision-recall curves')):
        stem = run.folder / FIGURES / kind
        paths = plot_areas(test, table.records, stem, kind, grid=True)
        section.blocks.append(Picture(paths[0], f'{caption}, one square per finding'))
    return section


def thresholds_section(run: Run, statistics: Statistics | None) -> Section:
    """The paper's Table 7, at thresholds chosen on validation."""
    section = Section('Thresholds chosen on validation', folded=True)
    if statistics is not None and len(statistics.tables) > 1:
        section.blocks.append(statistics.tables[1])
        return section
    test, val = run.predictions[TEST], run.predictions[VAL]
    mixed = test is not None and val is not None and two_checkpoints(test, val)
    for name in OPTIONS:
        if run.predictions[name] is None or mixed:
            what = 'Validation predictions' if name == VAL else 'Test predictions'
            section.blocks.append(Absent(what, test_command(run, name, OPTIONS[name])))
    return section


def calibration_section(results: Results) -> Section:
    """Calibration fitted on validation, before and after on test."""
    section, run = Section('Calibration', folded=True), results.run
    test, calibration = run.predictions[TEST], results.calibration
    if test is None or calibration is None or results.calibrated is None:
        folder = run.quoted()[1]
        command = f'mlrfnet calibrate {folder} {folder}/{VAL} --test {folder}/{TEST}'
        section.blocks.append(Absent('Calibration', command))
        return section
    section.blocks.append(results.calibrated)
    paths = plot_reliability(test, calibration, run.folder / FIGURES / 'reliability')
    section.blocks.append(Picture(paths[0], 'Reliability before and after calibration'))
    if (run.folder / 'thresholds.json').is_file():
        saved = Thresholds.load(run.folder)
        section.blocks.append(
            f'thresholds.json: rule {saved.rule}, on {saved.on}, chosen on {saved.stamp}.'
        )
    return section
