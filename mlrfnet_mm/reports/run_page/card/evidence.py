"""What a run says on each point that a card or a checklist asks about; nothing is invented."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlrfnet_mm import __version__
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.reports.output.tables import Record, Table, cell, number
from mlrfnet_mm.reports.run_page.card.answers import read_data
from mlrfnet_mm.reports.run_page.card.checklists import Evidence
from mlrfnet_mm.reports.run_page.card.partitions import Partitions
from mlrfnet_mm.reports.run_page.card.settings import (
    initial_weights,
    loss_and_sampler,
    network,
    schedule,
    steps,
)
from mlrfnet_mm.reports.run_page.card.training_log import Training, duration
from mlrfnet_mm.reports.run_page.finished_run import TEST, VAL, test_command
from mlrfnet_mm.reports.run_page.limits import limits, weakest
from mlrfnet_mm.reports.run_page.results import Results

VERSIONS = ('MMEngine', 'PyTorch', 'Python')


@dataclass(frozen=True)
class Sources:
    """All that a card is filled from.

    Attributes:
        results: the run and its numbers.
        partitions: of its data.
        training: as recorded.
        external: mean AUC on other data sets, one row per prediction file.
        validation: mean AUC on validation and number of images; empty without its predictions.
        checkpoint: file of the weights that the predictions are of, None if it is not there.
        answers: what the user wrote.
    """

    results: Results
    partitions: Partitions
    training: Training
    external: Table
    validation: str
    checkpoint: Path | None
    answers: Mapping[str, str]

    @property
    def data_sets(self) -> dict[str, dict[str, str]]:
        """Data sets of the run that this project knows → what it knows, those of training first."""
        test = self.results.run.predictions[TEST]
        stamps = [split.stamp for split in self.partitions.splits] + ([test.stamp] if test else [])
        known: dict[str, dict[str, str]] = read_data('data_sets')
        # the longest name first: 'ChestX-ray14 (radiologists)' is not 'ChestX-ray14'
        names = sorted(known, key=len, reverse=True)
        found = [next((name for name in names if name in stamp), '') for stamp in stamps]
        return {name: known[name] for name in found if name}


def gather(sources: Sources) -> dict[str, Evidence]:
    """Every key of the checklists → what the run or the user says."""
    found: dict[str, Evidence] = {}
    for part in (_of_data, _of_model, _of_training, _of_scores, _of_topics):
        found |= part(sources)
    return found | {key: Evidence(text) for key, text in sources.answers.items()}


def _either(text: str, command: str) -> Evidence:
    """What is there, or else the command that makes it."""
    return Evidence(text) if text else Evidence(command=command)


def _of_data(sources: Sources) -> dict[str, Evidence]:
    run, splits = sources.results.run, sources.partitions
    facts = sources.data_sets
    own, counts, people = sources.answers['own_data'], splits.counts(), splits.people()
    where = [f'{name}: {f["url"]}' if f['url'] else name for name, f in facts.items()]
    again = f'mlrfnet card {run.quoted()[1]}' if run.config else f'mlrfnet train {run.quoted()[0]}'
    tables = ', '.join(filter(None, ('findings', people)))
    return {
        'data_source': Evidence('; '.join(where) or own),
        'data_access': Evidence(_each(facts, 'access') or own),
        'reference_standard': Evidence(f'Labels: {_each(facts, "labels")}' if facts else own),
        'partitions': _either(f'By split: {counts}' * bool(counts), again),
        'disjoint': _either(
            f'Patients in two splits: {splits.common()}' * bool(splits.common()), again
        ),
        'demographics': _either(f'Tables by split: {tables}' * bool(counts), again),
        'flow': _either(f'In the splits: {counts}' * bool(counts), again),
        'missing_data': _either(f'Not known: {splits.unknown()}' * bool(counts), again),
    }


def _each(facts: Mapping[str, Mapping[str, str]], key: str) -> str:
    """What is known of each data set, with its name where there are several."""
    if len(facts) == 1:
        return next(iter(facts.values()))[key]
    return '; '.join(f'{name}: {known[key]}' for name, known in facts.items())


def _of_model(sources: Sources) -> dict[str, Evidence]:
    run = sources.results.run
    test, config, train = run.predictions[TEST], run.config, f'mlrfnet train {run.quoted()[0]}'
    classes = ', '.join(test.classes.tolist()) if test else ''
    outputs = f'A score from 0 to 1 for each of: {classes}' * bool(classes)
    task = 'Deep learning on chest X-rays: each finding is present or absent, several at a time'
    found = {
        'task': Evidence(f'{task}; development{" and test" * bool(test)}'),
        'outputs': _either(outputs, test_command(run, TEST)),
    }
    if config is None:
        keys = ('model', 'inputs', 'preprocessing', 'augmentation', 'training', 'initialization')
        return found | {key: Evidence(command=train) for key in (*keys, 'class_imbalance')}
    loss, sampler = loss_and_sampler(config)
    weights = '; '.join(initial_weights(config)) or 'Random: no weights are loaded'
    return found | {
        'model': Evidence(network(config)),
        'inputs': _either('One chest X-ray, as it is prepared for the network', train),
        'preprocessing': _either(steps(config, 'test'), train),
        'augmentation': _either(steps(config, 'train'), train),
        'training': Evidence(schedule(config)),
        'initialization': Evidence(weights),
        'class_imbalance': Evidence(
            f'Loss {loss}, sampler {sampler}; each finding has its own threshold'
        ),
    }


def _of_training(sources: Sources) -> dict[str, Evidence]:
    run, training, path = sources.results.run, sources.training, sources.checkpoint
    train, machine = f'mlrfnet train {run.quoted()[0]}', training.machine
    hardware = [machine[key] for key in ('machine', 'GPU') if key in machine]
    if training.logs:
        runs = f' in {training.logs} runs' if training.logs > 1 else ''
        hardware.append(f'{training.epochs} epochs in {duration(training.seconds)}{runs}, by log')
    commit = training.record.get('commit')
    software = [f'mlrfnet-mm {__version__}' + (f', training by commit {commit}' if commit else '')]
    software += [f'{key} {machine[key]}' for key in VERSIONS if key in machine]
    hook = ((run.config or {}).get('default_hooks') or {}).get('checkpoint') or {}
    best, epoch = hook.get('save_best'), training.checkpoint.get('epoch')
    chosen = f'The checkpoint of the best {best} on validation' if best else ''
    chosen += f': epoch {epoch} of {training.epochs}' if best and epoch else ''
    weights = f'Weights {path.name}, SHA-256 {checkpoint_digest(path)}…; ' if path else ''
    return {
        'hardware': _either('; '.join(hardware), train),
        'software': _either(', '.join(software) if machine else '', train),
        'selection': _either(chosen, train),
        'availability': Evidence(f'{weights}code mlrfnet-mm, Apache-2.0 (mlrfnet predict)'),
        'ensembling': _either(_one_network(sources), test_command(run, TEST)),
    }


def _of_scores(sources: Sources) -> dict[str, Evidence]:
    results, run = sources.results, sources.results.run
    statistics, (config, folder) = results.statistics, run.quoted()
    other = '; '.join(f'{row["data"]} {cell(row, "auc")}' for row in sources.external.records)
    calibrate = f'mlrfnet calibrate {folder} {folder}/{VAL} --test {folder}/{TEST}'
    found = {
        'limits': Evidence(' '.join(limits(results))),
        'external_test': _either(
            f'Mean AUC on {other}' * bool(other),
            f'mlrfnet test {config} {folder} --on OTHER --out {folder}/on_OTHER.npz',
        ),
        'calibration': _either(_calibration(results.calibrated), calibrate),
    }
    if statistics is None:
        keys = ('discrimination', 'sample_size', 'metrics', 'uncertainty', 'all_splits')
        test = Evidence(command=test_command(run, TEST))
        return found | dict.fromkeys((*keys, 'thresholds'), test)
    areas, mean = statistics.tables[0], statistics.tables[0].records[-1]
    chosen = statistics.tables[1] if len(statistics.tables) > 1 else None
    auc = f'Mean AUC {cell(mean, "auc")}'
    low = '; '.join(f'{row["finding"]} {cell(row, "auc")}' for row in weakest(results))
    val = f', on validation {sources.validation}' * bool(sources.validation)
    metrics = ['AUC', 'average precision', *(list(chosen.columns)[2:] if chosen else ())]
    return found | {
        'discrimination': Evidence(f'{auc}, mean AP {cell(mean, "ap")}; lowest AUCs: {low}'),
        'sample_size': Evidence(_sample_size(areas.records[:-1])),
        'metrics': Evidence(', '.join(metrics)),
        'uncertainty': Evidence(
            '95 % intervals: bootstrap over patients, '
            f"{statistics.stamp['replicates']:,} replicates, and DeLong's, clustered by patient"
        ),
        'all_splits': Evidence(
            f'{auc} on test{val}; on training',
            test_command(run, 'train_predictions.npz', ' --split train'),
        ),
        'thresholds': _either(_thresholds(chosen), test_command(run, VAL, ' --split val')),
    }


def _of_topics(sources: Sources) -> dict[str, Evidence]:
    return {
        key: _either(
            f'See {found.topic.title}: {", ".join(f"{table.name}.csv" for table in found.tables)}'
            * bool(found),
            found.topic.command_of(sources.results.run),
        )
        for key, found in sources.results.found.items()
    }


def _one_network(sources: Sources) -> str:
    if sources.checkpoint:
        return 'None: one network, one checkpoint'
    there = sources.results.run.predictions[TEST] is not None
    return 'Not recorded: no checkpoint in the folder is that of the predictions' * there


def _calibration(table: Table | None) -> str:
    if table is None:
        return ''
    mean = table.records[-1]
    before, after, brier = (number(mean[k], k) for k in ('ece_before', 'ece_after', 'brier_after'))
    return f'Mean ECE {before}, calibrated on validation {after}; Brier score then {brier}'


def _thresholds(table: Table | None) -> str:
    if table is None:
        return ''
    mean = table.records[-1]
    return (
        f'Rule {mean["rule"]}, chosen on {mean["chosen_on"]}; mean sensitivity '
        f'{cell(mean, "sensitivity")}, specificity {cell(mean, "specificity")}'
    )


def _sample_size(rows: list[Record]) -> str:
    """Positives of the findings, and how wide the intervals are."""
    counts = [int(row['positives']) for row in rows]
    patients = [int(row['positive_patients']) for row in rows]
    widths = [float(row['auc_high']) - float(row['auc_low']) for row in rows]
    known = [width for width in widths if not np.isnan(width)]
    wide = f'; intervals of the AUC are {min(known):.3f} to {max(known):.3f} wide' if known else ''
    return (
        f'By finding {min(counts):,} to {max(counts):,} positive images of {min(patients):,} to '
        f'{max(patients):,} patients{wide}'
    )
