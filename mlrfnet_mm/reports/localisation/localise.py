"""How well heat maps find the radiologist's boxes: what ``mlrfnet localise`` prints and writes."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS, percentile_interval
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.evaluation.localisation import (
    SIZES,
    THRESHOLDS,
    Localisation,
    grouped_means,
    localise,
    measures,
    size_terciles,
)
from mlrfnet_mm.inference.heatmaps import HeatMapper
from mlrfnet_mm.inference.heatmaps.grad_cam import CAM_METHODS
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.reports.localisation.boxed_images import BoxedImages
from mlrfnet_mm.reports.localisation.dice import check_apart, dice_curves, dice_table, map_batch
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.xrays.gray import read_gray
from mlrfnet_mm.xrays.heat import to_image
from mlrfnet_mm.xrays.regions import FRAME, Box, box_in_image, in_frame, region_mask

SHOWN = (0.1, 0.3, 0.5)  # of THRESHOLDS, in the short table
SIDE = 512  # pixels of the pictures that are kept for figures


class Example(NamedTuple):
    """One box with pictures for Fig. 11; image and maps (SIDE, SIDE) show the box's whole frame."""

    box: Box
    score: float
    image: np.ndarray
    heats: dict[str, np.ndarray]
    results: dict[str, Localisation]


@dataclass(frozen=True)
class LocalisationReport:
    """Tables, examples (the first box of every finding) and what they are based on."""

    stamp: dict[str, str | int]
    tables: list[Table]
    examples: list[Example]

    def text(self) -> str:
        """Lay the short table out for a terminal, one part for each method."""
        table = self.tables[0]
        parts = []
        for method in dict.fromkeys(record['method'] for record in table.records):
            rows = [record for record in table.records if record['method'] == method]
            columns = {k: v for k, v in table.columns.items() if v not in ('method', 'iobb@0.3')}
            parts.append(Table('', f'{table.title}, {method}', columns, rows, wide=True).text())
        parts += [dice.text() for dice in self.tables[2:]]
        notes = [textwrap.fill(note, 120) for note in (*table.notes, NOTICE)]
        return '\n'.join([*parts, '', *notes])

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``localisation.md``, ``localisation.csv``, and a CSV for each further table."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / 'localisation.md'
        line = ', '.join(f'{key} {value}' for key, value in self.stamp.items())
        sections = [table.markdown() for table in self.tables]
        text = '\n'.join(['# Localisation\n', f'{line}. {NOTICE}\n', *sections])
        write_text(page, text)
        return [page, *(table.write_csv(folder, self.stamp) for table in self.tables)]


def evaluate_localisation(
    loaded: LoadedModel,
    source: BoxedImages,
    methods: Sequence[str] = ('score_maps',),
    layer: str | None = None,
    batch_size: int = 16,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    validation: BoxedImages | None = None,
) -> LocalisationReport:
    """Map every box's finding by every method and compare in the image's own pixels.

    Args:
        loaded: the model.
        source: boxes and images.
        methods: see :class:`~mlrfnet_mm.inference.heatmaps.HeatMapper`.
        layer: target layer of those of the Grad-CAM family.
        batch_size: images at a time.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        progress: called with the number of boxes done since its last call; with ``validation``
            those are done, too, and the source's twice.
        validation: boxes that choose the threshold of Dice's coefficient; ``None`` has no Dice.

    Raises:
        ValueError: see :class:`~mlrfnet_mm.inference.heatmaps.HeatMapper`; a layer that no method
            has; a region that leaves its image; an image that is in validation, too.
    """
    mappers = {
        method: HeatMapper(loaded.model, method, layer if method in CAM_METHODS else None)
        for method in methods
    }
    if layer and not any(method in CAM_METHODS for method in methods):
        raise ValueError(f'{", ".join(methods)}: no target layer, got {layer!r}; leave it out')
    if validation:
        check_apart(source, validation)
    framed: list[Box] = []
    results: dict[str, list[Localisation]] = {method: [] for method in methods}
    examples: dict[str, Example] = {}
    for start in range(0, len(source.boxes), batch_size):
        boxes = source.boxes[start : start + batch_size]
        done = _compare(loaded, source, boxes, mappers, seen=set(examples))
        for method in methods:
            results[method] += [found[method] for _, found, _ in done]
        framed += [box for box, _, _ in done]
        for _, _, example in done:
            if example is not None:
                examples.setdefault(example.box.finding, example)
        if progress:
            progress(len(boxes))
    stamp: dict[str, str | int] = dict(
        data=source.stamp,
        all_boxes=len(source.boxes),
        patients=len(set(source.patients)),
        **loaded.stamp,
        layer=layer or 'default',
        replicates=replicates,
        seed=seed,
        date=date.today().isoformat(),
    )
    tables = _tables(replace(source, boxes=framed), results, replicates, seed)
    if validation:
        stamp['dice_validation'] = validation.stamp
        both = [
            dice_curves(loaded, part, mappers, batch_size, progress)
            for part in (validation, source)
        ]
        curves = {method: (both[0][method], both[1][method]) for method in methods}
        tables.append(dice_table(source, validation, curves, replicates, seed))
    return LocalisationReport(stamp, tables, list(examples.values()))


def _compare(
    loaded: LoadedModel,
    source: BoxedImages,
    boxes: Sequence[Box],
    mappers: dict[str, HeatMapper],
    seen: set[str],
) -> list[tuple[Box, dict[str, Localisation], Example | None]]:
    """Each box of a batch in ``FRAME``, with its results by method.

    There is an example where the finding is not in ``seen``.
    """
    data, classes, maps = map_batch(loaded, source, boxes, mappers)
    with torch.no_grad():
        logits = loaded.model.head(loaded.model.extract_feat(data['inputs']))
    scores = logits.sigmoid().cpu().gather(1, classes)[:, 0].tolist()
    done = []
    for i, (box, sample) in enumerate(zip(boxes, data['data_samples'], strict=True)):
        shape = tuple(sample.ori_shape[:2])
        heats = {method: to_image(m[i], sample.geometry, shape) for method, m in maps.items()}
        target = box_in_image(box, shape)
        region = region_mask(box, shape) if box.polygon or box.runs else None
        found = {method: localise(heat, target, region=region) for method, heat in heats.items()}
        framed = in_frame(box, shape)
        example = None
        if box.finding not in seen:
            seen.add(box.finding)
            image = cv2.resize(gray_image(sample, data['inputs'][i]), (SIDE, SIDE))
            small = {
                m: cv2.resize(h, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
                for m, h in heats.items()
            }
            example = Example(framed, scores[i], image, small, found)
        done.append((framed, found, example))
    return done


def gray_image(sample: Any, inputs: torch.Tensor) -> np.ndarray:
    """The image file, uint8; where only a prepared store is there, what the network saw of it."""
    path = Path(sample.img_path)
    if path.is_file():
        return read_gray(path)
    gray = inputs[0].cpu().numpy()
    gray = 255 * (gray - gray.min()) / max(float(np.ptp(gray)), 1e-6)
    shape = tuple(sample.ori_shape[:2])
    return np.nan_to_num(to_image(gray, sample.geometry, shape)).astype(np.uint8)


def box_groups(boxes: Sequence[Box]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Name → members (B,): all, every finding, every tercile of size; and the findings' names."""
    names = np.array([box.finding for box in boxes])
    areas = np.array([box.width * box.height for box in boxes])
    tercile, edges = size_terciles(areas)
    findings = sorted(set(names.tolist()))
    groups = {'all boxes': np.ones(len(boxes), bool)}
    groups |= {finding: names == finding for finding in findings}
    first, second = np.sqrt(edges) / FRAME
    ranges = (f'≤ {first:.1%}', f'{first:.1%}–{second:.1%}', f'> {second:.1%}')
    for i, (size, text) in enumerate(zip(SIZES, ranges, strict=True)):
        groups[f'{size} ({text})'] = tercile == i
    return groups, findings


def _tables(
    source: BoxedImages, results: dict[str, list[Localisation]], replicates: int, seed: int
) -> list[Table]:
    groups, findings = box_groups(source.boxes)
    patients = np.array(source.patients)
    records: list[Record] = []
    for method, found in results.items():
        columns = measures(found, THRESHOLDS)
        values = np.stack(list(columns.values()), 1)
        means, draws = grouped_means(values, groups, patients, replicates, seed)
        rows = list(groups)
        ends = percentile_interval(draws)  # (2, G, M)
        few = [name for name in rows if len(set(patients[groups[name]])) < LEAST_PATIENTS]
        ends[:, [rows.index(name) for name in few]] = np.nan
        where = [rows.index(finding) for finding in findings]
        macro = percentile_interval(np.nanmean(draws[:, where], 1))
        table = [
            (name, int(groups[name].sum()), means[g], ends[:, g]) for g, name in enumerate(rows)
        ]
        table.insert(1, ('mean of findings', len(source.boxes), means[where].mean(0), macro))
        for name, count, mean, (low, high) in table:
            record: Record = dict(method=method, group=name, boxes=count)
            for m, key in enumerate(columns):
                record |= {key: float(mean[m])}
                if '_fp@' not in key:
                    record |= {f'{key}_low': float(low[m]), f'{key}_high': float(high[m])}
            records.append(record)
    short = _short_table(source, records)
    if few:
        names = ', '.join(few)
        note = f'No interval with fewer than {LEAST_PATIENTS} patients: {names}.'
        short.notes = [*short.notes, note]
    return [short, _full_table(source, records)]


def _short_table(source: BoxedImages, records: list[Record]) -> Table:
    keys = ['pointing', *(f'{k}@{t:g}' for k in ('iou', 'iobb') for t in SHOWN)]
    kept = {'method', 'group', 'boxes', *keys, *(f'{k}_{e}' for k in keys for e in ('low', 'high'))}
    headers = {'method': 'method', 'boxes of': 'group', 'n': 'boxes', 'pointing': 'pointing'}
    headers |= {f'IoU > {t:g}': f'iou@{t:g}' for t in SHOWN}
    headers |= {f'IoBB > {t:g}': f'iobb@{t:g}' for t in SHOWN}
    notes = [
        'Share of boxes that are found, with nominal 95 % intervals by bootstrap over patients. '
        'Pointing: the greatest value lies in the box (in the polygon or mask, where there is '
        'one); of several boxes in an image only one can have it. IoU, IoBB: some detection (a '
        "region over 60/255 or 180/255 of the map's range) meets the box so far; IoBB is the share "
        'of the detection that lies in the box, so small detections have it easy: see the false '
        'positives.',
        "Sizes: the square root of the box's area, as a share of the image's side; terciles of "
        'these boxes.',
        *source.left_out,
    ]
    short = [{k: v for k, v in record.items() if k in kept} for record in records]
    title = f'{source.stamp}: heat maps against boxes'
    return Table('localisation', title, headers, short, notes, wide=True)


def _full_table(source: BoxedImages, records: list[Record]) -> Table:
    """All thresholds with the average number of false positives, one row per threshold."""
    rows: list[Record] = []
    for record in records:
        for kind, name in (('iou', 'IoU'), ('iobb', 'IoBB')):
            for t in THRESHOLDS:
                key = f'{kind}@{t:g}'
                rows.append({
                    'method': record['method'], 'group': record['group'], 'boxes': record['boxes'],
                    'overlap': name, 'threshold': t, 'accuracy': record[key],
                    'accuracy_low': record[f'{key}_low'], 'accuracy_high': record[f'{key}_high'],
                    'false_positives': record[f'{kind}_fp@{t:g}'],
                })  # fmt: skip
    headers = {'method': 'method', 'boxes of': 'group', 'n': 'boxes', 'overlap': 'overlap'}
    headers |= {'over': 'threshold', 'accuracy': 'accuracy', 'AFP': 'false_positives'}
    notes = ['AFP: average number of detections of an image and finding that are not over it.']
    title = f'{source.stamp}: accuracy and false positives at all thresholds'
    return Table('localisation_thresholds', title, headers, rows, notes)
