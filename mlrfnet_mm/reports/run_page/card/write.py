"""A model card from a work directory: ``model_card.md``, ``model_card.json`` and its questions.

The Markdown is for people and, with its front matter, for Hugging Face's hub; the JSON holds the
same with every number. Both are written again by each run. What only the user knows stands in
``card_answers.yaml``, which is never changed.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrfnet_mm.evaluation import mean_defined, roc_auc
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.output.page import Absent, Picture, Section, markdown_page
from mlrfnet_mm.reports.output.tables import Record, Table, number
from mlrfnet_mm.reports.run_page.card.answers import (
    ANSWERS,
    questions,
    read_answers,
    write_blank,
)
from mlrfnet_mm.reports.run_page.card.checklists import (
    NAMES,
    OPEN,
    Checklist,
    Evidence,
    answer_checklist,
)
from mlrfnet_mm.reports.run_page.card.evidence import Sources, gather
from mlrfnet_mm.reports.run_page.card.front_matter import in_yaml, metadata
from mlrfnet_mm.reports.run_page.card.partitions import read_partitions
from mlrfnet_mm.reports.run_page.card.training_log import read_training
from mlrfnet_mm.reports.run_page.finished_run import TEST, VAL, Run
from mlrfnet_mm.reports.run_page.found.tables import Found, topic_section
from mlrfnet_mm.reports.run_page.limits import limits
from mlrfnet_mm.reports.run_page.results import Results, read_results
from mlrfnet_mm.reports.run_page.summary import not_run_section, summary_section
from mlrfnet_mm.reports.scores.statistics import UNITS, evaluate_predictions

CARD, DATA = 'model_card.md', 'model_card.json'
MOST_ROWS = 40  # of a table that another command wrote; the JSON has them all
OTHER_DATA = '(model of '  # in the stamp of predictions on another data set
# key of the evidence → what it is called in the card
MODEL = {
    'task': 'Task', 'model': 'Network', 'preprocessing': 'Input', 'outputs': 'Output',
    'initialization': 'Initial weights', 'availability': 'Files',
}  # fmt: skip
TRAINING = {
    'training': 'Schedule', 'augmentation': 'Images in training', 'hardware': 'Hardware and time',
    'class_imbalance': 'Rare findings', 'software': 'Software', 'selection': 'Chosen checkpoint',
}  # fmt: skip


def write_card(
    work_dir: str | Path, out_dir: str | Path | None = None, replicates: int = 1000, seed: int = 0
) -> list[Path]:
    """Write the card of a run.

    Args:
        work_dir: folder of the run.
        out_dir: folder of the card; the run's by default.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Returns:
        The paths of what was written: Markdown, JSON and, the first time, the questions.

    Raises:
        FileExistsError: a card that was changed by hand since it was written.
        ValueError: answers that cannot be read, and files of the run that are broken.
    """
    out = Path(out_dir or work_dir)
    answers = read_answers(out / ANSWERS)
    _refuse_edited(out)
    results = read_results(work_dir, replicates, seed)
    folder = results.run.folder.absolute().name
    name = answers['name'] or folder
    checkpoint = _checkpoint(results.run)
    sources = Sources(
        results,
        read_partitions(results.run),
        read_training(results.run.folder, checkpoint),
        _external(results.run, replicates, seed),
        _mean_auc(results.run),
        checkpoint,
        answers,
    )
    evidence = gather(sources)
    checklists = [answer_checklist(key, evidence) for key in NAMES]
    head = metadata(sources, name)
    sections = card_sections(sources, evidence, checklists)
    text = in_yaml(head) + '\n' + markdown_page(f'Model card of {name}', sections, out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / CARD, text)
    found = as_json(head, sources, evidence, checklists, text)
    write_text(out / DATA, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + '\n')
    blank = write_blank(out, folder)
    return [out / CARD, out / DATA, *([blank] if blank else [])]


def counts(path: Path) -> list[str]:
    """How many items of each checklist are in which state, from the card's JSON file."""
    found = json.loads(path.read_text(encoding='utf-8'))['checklists'].values()
    return [
        f'{c["name"]}: ' + ', '.join(f'{n} {state}' for state, n in c['counts'].items())
        for c in found
    ]


def _refuse_edited(folder: Path) -> None:
    """Raise a FileExistsError if the card is not as it was written."""
    card, data = folder / CARD, folder / DATA
    if not card.is_file():
        return
    try:
        written = json.loads(data.read_text(encoding='utf-8'))['card_sha256']
    except (OSError, ValueError, KeyError, TypeError):
        written = ''
    if written != _sha256(card.read_text(encoding='utf-8')):
        raise FileExistsError(
            f'{card} was changed since mlrfnet card wrote it, or is not from it: move what you '
            f'wrote into {folder / ANSWERS}, or give the file another name'
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checkpoint(run: Run) -> Path | None:
    """The file of the weights that the test predictions are of."""
    test = run.predictions[TEST]
    if test is None or not test.checkpoint:
        return None
    files = sorted(run.folder.glob('*.pth'))
    return next((path for path in files if checkpoint_digest(path) == test.checkpoint), None)


def _external(run: Run, replicates: int, seed: int) -> Table:
    """Mean AUC of each prediction file on another data set."""
    records: list[Record] = []
    for path in sorted(run.folder.glob('*.npz')):
        if path.name in (TEST, VAL):
            continue
        predictions = load_predictions(path, 'auto')
        if OTHER_DATA not in predictions.stamp:
            continue
        found = evaluate_predictions(predictions, replicates=replicates, seed=seed)
        mean = found.tables[0].records[-1]
        record: Record = dict(data=predictions.stamp, findings=len(predictions.classes))
        record |= {key: mean[key] for key in ('auc', 'auc_low', 'auc_high')}
        records.append(record | dict(images=len(predictions.images), file=path.name))
    columns = dict(data='data', findings='findings', images='images', AUC='auc', file='file')
    return Table('external', 'Other data sets: mean AUC', columns, records)


def _mean_auc(run: Run) -> str:
    """Mean AUC on validation, on which the checkpoint was chosen."""
    val = run.scored(VAL)
    if val is None:
        return ''
    mean = mean_defined(roc_auc(val.scores, val.labels)[val.in_mean])
    return f'{number(mean)} ({len(val.images):,} {UNITS[val.unit]})'


def card_sections(
    sources: Sources, evidence: dict[str, Evidence], checklists: Sequence[Checklist]
) -> list[Section]:
    """The body of the card, in the order in which it is read."""
    results = sources.results
    known = {'own_data'} if sources.data_sets else set()  # not to be asked
    asked = {title: _questions(title, sources.answers, known) for title in questions()}
    data = _facts(evidence, dict(data_source='Source', reference_standard='Reference'))
    if sources.partitions.reason:
        data.append(f'Splits: not read, as {sources.partitions.reason}')
    data += sources.partitions.tables
    return [
        summary_section(results),
        Section('Intended use', asked.pop('Intended use')),
        Section('Limits', [*limits(results)]),
        Section('Model', [*_facts(evidence, MODEL), *asked.pop('The model')]),
        Section('Data', data + asked.pop('Data and reference')),
        Section('Training', [*_facts(evidence, TRAINING)]),
        Section('Results', _results(results, sources.external)),
        *(_topic(found) for found in results.found.values() if found or found.stale),
        not_run_section(results),
        Section('Licenses', _licenses(evidence)),
        *(Section(title, blocks) for title, blocks in asked.items()),
        Section('Checklists', _checklists(checklists)),
    ]


def _topic(found: Found) -> Section:
    """A topic without what a card does not hold: pictures, and rows on single images."""
    section = topic_section(found, MOST_ROWS)
    left_out = (Picture, Table) if found.topic.cases else Picture
    counts = [f'{len(t.records):,} cases in {t.name}.csv.' for t in found.tables]
    blocks = [block for block in section.blocks if not isinstance(block, left_out)]
    return Section(section.title, [*(counts if found.topic.cases else ()), *blocks])


def _facts(evidence: dict[str, Evidence], names: dict[str, str]) -> list[Any]:
    return [f'**{name}**: {evidence[key].shown(key)}' for key, name in names.items()]


def _licenses(evidence: dict[str, Evidence]) -> list[Any]:
    return [
        f'**Data**: {evidence["data_access"].shown("own_data")}',
        f'**Weights that the training began with**: {evidence["initialization"].shown("")}',
        f'**These weights**: {evidence["license"].shown("license")}; the terms of the data and of '
        'the weights above go on to hold',
        '**Code**: Apache-2.0',
    ]


def _questions(title: str, answers: Mapping[str, str], known: Collection[str]) -> list[Any]:
    """The questions of a section with their answers, then those that are open, in one line."""
    keys = {key: text for key, text in questions()[title].items() if key not in known}
    told = [f'**{_upper(keys[key])}**: {answers[key]}' for key in keys if answers[key]]
    left = [f'{question} (`{key}`)' for key, question in keys.items() if not answers[key]]
    return told + [f'{_upper(OPEN)} in {ANSWERS}: {"; ".join(left)}.'] * bool(left)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _results(results: Results, external: Table) -> list[Any]:
    blocks: list[Any] = list(results.statistics.tables) if results.statistics else []
    if not blocks:
        blocks.append(Absent('Test predictions', f'mlrfnet report {results.run.quoted()[1]}'))
    blocks += [results.calibrated] if results.calibrated else []
    return blocks + ([external] if external.records else [])


def _checklists(checklists: Sequence[Checklist]) -> list[Any]:
    records: list[Record] = [{'list': c.name, **c.counts()} for c in checklists]
    columns = {key: key for key in records[0]}
    note = 'Items of each list by what answers them; the wording of the items is ours.'
    return [
        Table('counts', 'How many items are answered', columns, records, [note]),
        *(checklist.table() for checklist in checklists),
    ]


def as_json(
    head: dict[str, Any],
    sources: Sources,
    evidence: dict[str, Evidence],
    checklists: Sequence[Checklist],
    text: str,
) -> dict[str, Any]:
    """All of the card with every digit; what is not a number is null."""
    results = sources.results
    tables = [
        *(results.statistics.tables if results.statistics else ()),
        *sources.partitions.tables,
    ]
    tables += [results.calibrated] if results.calibrated else []
    tables += [sources.external] if sources.external.records else []
    tables += [t for f in results.found.values() if not f.topic.cases for t in f.tables]
    found = dict(
        card_sha256=_sha256(text),
        metadata=head,
        stamp=dict(results.statistics.stamp) if results.statistics else {},
        limits=limits(results),
        evidence={
            k: dict(state=e.state, text=e.text, command=e.command) for k, e in evidence.items()
        },
        tables={
            t.name: dict(title=t.title, records=t.records, notes=list(t.notes)) for t in tables
        },
        checklists={
            key: dict(
                name=c.name,
                edition=c.edition,
                source=c.source,
                counts=c.counts(),
                items=[vars(answer) for answer in c.answers],
            )
            for key, c in zip(NAMES, checklists, strict=True)
        },
    )
    return _plain(found)


def _plain(value: Any) -> Any:
    """A value that JSON has: None for NaN."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
