"""One page about a run: what ``tools/report.py`` gathers from a work directory.

What is not there is named with the command that makes it; nothing is computed again but the
statistics of the saved predictions and the figures.
"""

import csv
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mlrfnet_mm.engine.launch import RUNNER_KEYS
from mlrfnet_mm.evaluation import Calibration, Predictions, Thresholds

from .calibrate import calibration_table
from .curves import plot_curves
from .pairing import load_predictions
from .paper import TABLE_5_STAMP, paper_aucs
from .reliability_figure import plot_reliability
from .report_page import Absent, Picture, Section, html_page, markdown_page
from .roc_figure import plot_areas
from .statistics import Statistics, evaluate_predictions
from .tables import Record, Table

FIGURES = 'report_files'
TEST, VAL = 'predictions.npz', 'val_predictions.npz'
# The main config of each data set: what a run's config is compared with.
BASES = {
    'mlrfnet_mm.ChestXray14': 'configs/mlrfnet_xray14.py',
    'mlrfnet_mm.CheXpert': 'configs/mlrfnet_chexpert.py',
}
OF_THE_CALL = {'work_dir', 'launcher', 'load_from', 'resume', 'experiment_name'}


@dataclass(frozen=True)
class Run:
    """A work directory and what was found in it; None for what is not there."""

    folder: Path
    config: Config | None
    config_name: str
    test: Predictions | None
    val: Predictions | None

    def quoted(self) -> tuple[str, str]:
        """Config and folder for a command line."""
        return f'configs/{self.config_name}.py', shlex.quote(str(self.folder))


def read_run(folder: str | Path) -> Run:
    """Read the config of the last training and the saved predictions.

    Raises:
        NotADirectoryError: no such folder.
        ValueError: a broken prediction file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'no work directory {folder.absolute()}')
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    dumped = logs[-1].parent / 'config.py' if logs else None
    config = Config.fromfile(dumped) if dumped and dumped.is_file() else None
    names = sorted(path.stem for path in folder.glob('*.py'))
    predictions = [
        load_predictions(p) if p.is_file() else None for p in (folder / TEST, folder / VAL)
    ]
    return Run(folder, config, names[0] if names else 'CONFIG', *predictions)


def write_report(
    work_dir: str | Path, base: str | None = None, replicates: int = 1000, seed: int = 0
) -> list[Path]:
    """Write ``report.html`` and ``report.md`` into the work directory.

    Args:
        work_dir: folder of the run.
        base: config to compare with; the data set's main config by default.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Returns:
        The paths of the two pages. Pictures lie in ``report_files``; the HTML page holds its own.
    """
    run = read_run(work_dir)
    statistics = None
    if run.test is not None:
        files = {k: v for k, v in (('predictions', TEST), ('val', VAL if run.val else '')) if v}
        statistics = evaluate_predictions(
            run.test, run.val, replicates=replicates, seed=seed, files=files
        )
    sections = [
        _protocol(run, statistics),
        _config_difference(run, base),
        _curves(run),
        _areas(run, statistics),
        _thresholds(run, statistics),
        _calibration(run),
        _from_csv(run, 'Localisation', 'localisation.csv', 'tools/localise.py {} {}'),
        _from_csv(run, 'Complexity', 'complexity.csv', 'tools/complexity.py {} --out {}'),
    ]
    title = f'Report of {run.folder.absolute().name}'
    pages = {
        run.folder / 'report.html': html_page(title, sections),
        run.folder / 'report.md': markdown_page(title, sections, run.folder),
    }
    for path, text in pages.items():
        path.write_text(text, encoding='utf-8')
    return list(pages)


def _test_command(run: Run, out: str, options: str = '') -> str:
    config, folder = run.quoted()
    return f'python tools/test.py {config} {folder} --out {folder}/{out}{options}'


def _protocol(run: Run, statistics: Statistics | None) -> Section:
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
    section = Section('Protocol and data', [table])
    counts = list(dict.fromkeys(_data_lines(run.folder)))
    section.blocks += [f'Data, as logged: {line}' for line in counts]
    if not counts:
        section.blocks.append(
            Absent('Data counts (a log)', f'python tools/train.py {run.quoted()[0]}')
        )
    return section


def _data_lines(folder: Path) -> Iterator[str]:
    """The data sets' own lines in the logs: images, patients and positives of each split."""
    for log in sorted(folder.glob('*/*.log')):
        for line in log.read_text(encoding='utf-8', errors='replace').splitlines():
            found = re.search(r' - INFO - (\S.* \S+/\S+: [\d,]+ images\b.*patients.*)$', line)
            if found:
                yield found[1]


def flatten(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Leaves of nested dicts and lists of dicts, with dotted keys."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from flatten(part, f'{key}.{name}' if key else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
        for i, part in enumerate(value):
            yield from flatten(part, f'{key}.{i}')
    else:
        yield key, list(value) if isinstance(value, tuple) else value


def config_difference(config: Config, base: Config) -> list[Record]:
    """Keys that a runner reads and that differ, with both values; – for a key that is not there."""
    keys = RUNNER_KEYS - OF_THE_CALL
    ours, theirs = (
        dict(flatten({k: v for k, v in cfg.to_dict().items() if k in keys}))
        for cfg in (config, base)
    )
    return [
        {'key': key, 'base': _shown(theirs, key), 'run': _shown(ours, key)}
        for key in sorted(ours.keys() | theirs.keys())
        if _shown(ours, key) != _shown(theirs, key)
    ]


def _shown(values: dict[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else '–'


def _config_difference(run: Run, base: str | None) -> Section:
    section = Section('Config')
    if run.config is None:
        command = f'python tools/train.py {run.quoted()[0]}'
        section.blocks.append(Absent('The config of a training', command))
        return section
    base = base or BASES.get(run.config.train_dataloader.dataset.type)
    if base is None or not Path(base).is_file():
        section.blocks.append(f'Not compared: no base config {base or ""}; name one with --base.')
        return section
    records = config_difference(run.config, Config.fromfile(base))
    columns = {'key': 'key', 'base': 'base', 'run': 'run'}
    notes = [] if records else ['No difference.']
    section.blocks.append(Table('config', f'Difference to {base}', columns, records, notes))
    return section


def _curves(run: Run) -> Section:
    section = Section('Loss and AUC over the training')
    try:
        (run.folder / FIGURES).mkdir(exist_ok=True)
        path = plot_curves(run.folder, run.folder / FIGURES / 'curves.png')
        section.blocks.append(Picture(path, 'Loss and validation AUC over the epochs'))
    except FileNotFoundError:
        section.blocks.append(Absent('Curves', f'python tools/train.py {run.quoted()[0]}'))
    return section


def _areas(run: Run, statistics: Statistics | None) -> Section:
    """AUC table with the paper's column where it belongs, ROC and precision-recall grids."""
    section = Section('AUC and average precision')
    if run.test is None or statistics is None:
        section.blocks.append(Absent('Test predictions', _test_command(run, TEST)))
        return section
    table = statistics.tables[0]
    paper = paper_aucs(run.test.stamp)
    if paper:
        table.columns = {**table.columns, 'paper': 'paper'}
        for record in table.records:
            record['paper'] = paper[str(record['finding'])]
        table.notes = [*table.notes, "Column paper: Li et al. 2023, Table 5; not this project's."]
    else:
        table.notes = [
            *table.notes,
            f"No paper column: the paper's values are for {TABLE_5_STAMP}.",
        ]
    section.blocks.append(table)
    for kind, caption in (('roc', 'ROC curves'), ('pr', 'Precision-recall curves')):
        stem = run.folder / FIGURES / kind
        paths = plot_areas(run.test, table.records, stem, kind, grid=True)
        section.blocks.append(Picture(paths[0], f'{caption}, one square a finding'))
    return section


def _thresholds(run: Run, statistics: Statistics | None) -> Section:
    section = Section('Thresholds chosen on validation')
    if statistics is not None and len(statistics.tables) > 1:
        section.blocks.append(statistics.tables[1])
        return section
    for predictions, name, options in (
        (run.test, TEST, ''),
        (run.val, VAL, ' --cfg-options test_dataloader.dataset.split=val'),
    ):
        if predictions is None:
            what = 'Validation predictions' if name == VAL else 'Test predictions'
            section.blocks.append(Absent(what, _test_command(run, name, options)))
    return section


def _calibration(run: Run) -> Section:
    section = Section('Calibration')
    file = run.folder / 'calibration.json'
    if run.test is None or run.val is None or not file.is_file():
        folder = run.quoted()[1]
        test = f'--test {folder}/{TEST}'
        command = f'python tools/calibrate.py {folder}/{VAL} --checkpoint-dir {folder} {test}'
        section.blocks.append(Absent('Calibration', command))
        return section
    calibration = Calibration.load(file)
    section.blocks.append(calibration_table(calibration, run.val, run.test))
    paths = plot_reliability(run.test, calibration, run.folder / FIGURES / 'reliability')
    section.blocks.append(Picture(paths[0], 'Reliability before and after calibration'))
    if (run.folder / 'thresholds.json').is_file():
        saved = Thresholds.load(run.folder)
        section.blocks.append(
            f'thresholds.json: rule {saved.rule}, on {saved.on}, chosen on {saved.stamp}.'
        )
    return section


def _from_csv(run: Run, title: str, name: str, command: str) -> Section:
    """A table that another command wrote; columns with one value in all rows become a note."""
    section, path = Section(title), run.folder / name
    if not path.is_file():
        section.blocks.append(Absent(title, 'python ' + command.format(*run.quoted())))
        return section
    with path.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0]) if rows else []
    constant = [key for key in names if len(rows) > 1 and len({row[key] for row in rows}) == 1]
    records: list[Record] = [{k: _shortened(v) for k, v in row.items()} for row in rows]
    columns = {key: key for key in names if key not in constant}
    notes = [', '.join(f'{key} {rows[0][key]}' for key in constant)] if constant else []
    section.blocks.append(Table(path.stem, f'From {name}', columns, records, notes))
    return section


def _shortened(text: str) -> str | int | float:
    """A CSV's number as a number, so that it is printed as in the other tables."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
