"""The head of a card that Hugging Face's hub reads: YAML with the model's results.

Format: https://huggingface.co/docs/hub/model-cards; ``huggingface_hub.ModelCard`` reads it, and is
not needed to write it.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from mlrfnet_mm.evaluation.files.pairing import split_stamp
from mlrfnet_mm.reports.output.tables import Record
from mlrfnet_mm.reports.run_page.card.evidence import Sources
from mlrfnet_mm.reports.run_page.finished_run import TEST

# the hub's names of metrics → key of this project's tables
AREAS = {'roc_auc': 'auc', 'average_precision': 'ap'}
AT_THRESHOLDS = {key.lower(): key for key in ('accuracy', 'sensitivity', 'specificity', 'F1')}
NAMES = {
    'auc': 'AUC',
    'ap': 'average precision',
    'ece_after': 'expected calibration error, calibrated',
    'brier_after': 'Brier score, calibrated',
}


def metadata(sources: Sources, name: str) -> dict[str, Any]:
    """The front matter of a card, in the hub's keys.

    Args:
        sources: what the card is filled from.
        name: of the model.
    """
    results = list(_results(sources))
    config = sources.results.run.config
    model = (config.get('model') or {}) if config else {}
    parts = [str((model.get(k) or {}).get('type', '')).split('.')[-1] for k in ('backbone', 'head')]
    tags = ['chest-x-ray', 'radiology', 'medical-imaging', 'multi-label', 'mmengine', 'mmpretrain']
    found: dict[str, Any] = dict(
        license=sources.answers['license'] or 'unknown',
        library_name='mlrfnet-mm',
        pipeline_tag='image-classification',
        tags=[*tags, *(slug(part) for part in parts if part)],
        datasets=[slug(name) for name in sources.data_sets],
        metrics=list(dict.fromkeys(metric['type'] for metric in results)),
    )
    if results:
        found['model-index'] = [dict(name=name, results=[_result(sources, results)])]
    return {key: value for key, value in found.items() if value}


def slug(text: str) -> str:
    """A name in the hub's form.

    >>> slug('generated phantom')
    'generated-phantom'
    """
    return re.sub(r'[^a-z0-9.]+', '-', text.lower()).strip('-')


def _result(sources: Sources, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    test = sources.results.run.predictions[TEST]
    assert test is not None
    dataset, protocol, split = split_stamp(test.stamp)
    return dict(
        task=dict(type='image-classification', name='findings in chest X-rays, multi-label'),
        dataset=dict(type=slug(dataset), name=dataset, config=protocol, split=split),
        metrics=metrics,
    )


def _results(sources: Sources) -> Iterator[dict[str, Any]]:
    """The metrics of the test predictions; what is not defined is left out."""
    statistics, calibrated = sources.results.statistics, sources.results.calibrated
    if statistics is None:
        return
    *rows, mean = statistics.tables[0].records
    how: dict[str, Any] = dict(interval='bootstrap over patients', level=0.95)
    how |= {key: statistics.stamp[key] for key in ('replicates', 'seed')}
    for kind, key in AREAS.items():
        yield from _metric(kind, mean, key, how)
    for row in rows:
        yield from _metric('roc_auc', row, 'auc', how)
    if len(statistics.tables) > 1:
        macro = statistics.tables[1].records[-1]
        how = dict(how, rule=macro['rule'], chosen_on=macro['chosen_on'])
        for kind, key in AT_THRESHOLDS.items():
            yield from _metric(kind, macro, key, how)
    if calibrated is not None:
        how = dict(calibrated_on=sources.results.calibration.stamp)  # type: ignore[union-attr]
        for kind, key in (('ece', 'ece_after'), ('brier_score', 'brier_after')):
            yield from _metric(kind, calibrated.records[-1], key, how)


def _metric(kind: str, row: Record, key: str, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One metric in the hub's form, its interval among the arguments."""
    value = float(row[key])
    if math.isnan(value):
        return
    ends = [float(row.get(f'{key}_{end}', math.nan)) for end in ('low', 'high')]
    known = dict(low=ends[0], high=ends[1]) if not math.isnan(sum(ends)) else {}
    args = known | (how if known or 'interval' not in how else {})
    metric = dict(type=kind, value=value, name=f'{NAMES.get(key, key)}, {row["finding"]}')
    yield metric | (dict(args=args) if args else {})


def in_yaml(found: dict[str, Any]) -> str:
    """Between the two lines that the hub looks for."""
    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100)
    return f'---\n{text}---\n'
