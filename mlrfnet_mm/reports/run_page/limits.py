"""What the numbers of a run do not say: each limit follows from what is, or is not, there."""

from collections.abc import Iterator

import numpy as np

from mlrfnet_mm.datasets.xray_dataset import PART_OF, SHUFFLED
from mlrfnet_mm.engine.parts import leaf_datasets
from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS
from mlrfnet_mm.reports.output.tables import Record, number
from mlrfnet_mm.reports.run_page.finished_run import TEST
from mlrfnet_mm.reports.run_page.found.topics import COMPLEXITY
from mlrfnet_mm.reports.run_page.results import Results

PHANTOM = 'generated phantom'


def limits(results: Results) -> list[str]:
    """Sentences, the most important first."""
    return [*_of_data(results), *_of_scores(results), *_of_what_was_not_run(results)]


def findings(results: Results) -> list[Record]:
    """The rows of the areas' table but for the mean; none without test predictions."""
    return results.statistics.tables[0].records[:-1] if results.statistics else []


def weakest(results: Results, count: int = 3) -> list[Record]:
    """The findings of lowest AUC, the lowest first; one without an AUC is not among them."""
    defined = [row for row in findings(results) if not np.isnan(float(row['auc']))]
    return sorted(defined, key=lambda row: float(row['auc']))[:count]


def _of_data(results: Results) -> Iterator[str]:
    run = results.run
    test = run.predictions[TEST]
    stamp = test.stamp if test else ''
    loader = (run.config.get('train_dataloader') or {}) if run.config else {}
    shortened = [d for d in leaf_datasets(loader.get('dataset')) if d.get('indices') is not None]
    if PHANTOM in stamp:
        yield 'The images are generated (phantom): no number here says anything about patients.'
    if SHUFFLED in stamp:
        yield 'The labels are shuffled: a control that must fail, not a result.'
    if 'same images' in stamp:
        yield 'The model has seen images of the test set in training: this is not a test.'
    if PART_OF in stamp:
        yield f'The test set is a part of its split: {stamp}.'
    if shortened:
        yield 'The training used a part of its images (`indices` in the config).'


def _of_scores(results: Results) -> Iterator[str]:
    rows = findings(results)
    undefined = [row for row in rows if np.isnan(float(row['auc']))]
    few = [row for row in rows if row not in undefined and np.isnan(float(row['auc_low']))]
    chance = [row for row in rows if float(row['auc_low']) <= 0.5 <= float(row['auc_high'])]
    below = [row for row in rows if float(row['auc_high']) < 0.5]
    if undefined:
        yield f'No AUC, as the test set has one label value only: {_names(undefined)}.'
    if few:
        yield (
            f'Fewer than {LEAST_PATIENTS} positive or negative patients, or one AUC in every '
            f'replicate, and so no interval: {_names(few)}.'
        )
    if chance:
        yield f'Not told from chance (the interval of the AUC has 0.5 in it): {_names(chance)}.'
    if below:
        yield f'Worse than chance: {_names(below)}.'
    if results.calibration is not None:
        names = np.array(results.calibration.classes)
        flat = names[~(results.calibration.scale > 0)]
        if len(flat):
            yield f'No usable probability or threshold after calibration: {", ".join(flat)}.'


def _of_what_was_not_run(results: Results) -> Iterator[str]:
    if results.statistics is not None:
        yield (
            'One training with one seed: the intervals are over patients and do not hold what '
            'another seed would change.'
        )
    # what a network costs is no limit of its numbers
    missing = [f.topic.title for k, f in results.found.items() if not f and k != COMPLEXITY.key]
    if missing:
        yield f'Not run: {", ".join(title[0].lower() + title[1:] for title in missing)}.'


def _names(rows: list[Record]) -> str:
    return ', '.join(
        f'{row["finding"]} ({number(float(row["auc"]))})'
        if not np.isnan(float(row['auc']))
        else str(row['finding'])
        for row in rows
    )
