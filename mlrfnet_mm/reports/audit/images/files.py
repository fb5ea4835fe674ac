"""What is wrong with the image files: missing, broken, twice, blank, inverted, rotated, in a frame.

Only what is missing or empty is seen without opening the files.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlrfnet_mm.reports.audit.images.hashes import CROPS, SIDE, Pair, find_near_duplicates
from mlrfnet_mm.reports.audit.images.pictures import (
    FEWEST,
    FRAME,
    is_blank,
    judge_orientation,
    orientations,
    standardize,
)
from mlrfnet_mm.reports.audit.images.scan import Scan, scan
from mlrfnet_mm.reports.audit.problems import ERROR, NOTE, WARNING, Problem
from mlrfnet_mm.reports.audit.rows import Split
from mlrfnet_mm.reports.output.progress import progress_bar
from mlrfnet_mm.reports.output.tables import Record, Table

CHUNK = 4096  # thumbnails at a time
NAMED = 8  # files of one row, at most
FRONTAL = ('', 'PA', 'AP', 'Frontal')


@dataclass
class Files:
    """The files of all splits, each once.

    Attributes:
        paths: of those that are there.
        order: names of all splits, in order.
        splits: path → the splits that it is in.
        views: path → view.
        patients: path → patient.
    """

    paths: list[str]
    order: list[str]
    splits: dict[str, list[Split]]
    views: dict[str, str]
    patients: dict[str, str]

    def parts(self, *paths: str) -> str:
        """Names of the splits that some files are in."""
        names = {split.part for path in paths for split in self.splits[path]}
        return ', '.join(name for name in self.order if name in names)

    def apart(self, paths: Sequence[str]) -> bool:
        """Whether files are in different splits of one config."""
        found = {(split.source, split.part) for path in paths for split in self.splits[path]}
        return len(found) > len({source for source, _ in found})


def find_files(splits: Sequence[Split]) -> tuple[Files, list[Problem]]:
    """Look for every file, without opening it."""
    files = Files([], [split.part for split in splits], defaultdict(list), {}, {})
    for split in splits:
        for path, view, patient in zip(split.paths, split.views, split.patients, strict=True):
            files.splits[path].append(split)
            files.views[path], files.patients[path] = view, patient
    problems = []
    missing: dict[str, list[str]] = defaultdict(list)
    folders = {folder: os.path.isdir(folder) for folder in map(os.path.dirname, files.splits)}
    for path in files.splits:
        folder = os.path.dirname(path)
        if not folders[folder]:
            missing[folder].append(path)
            continue
        size = os.path.getsize(path) if os.path.isfile(path) else -1
        if size > 0:
            files.paths.append(path)
        else:
            kind, value = ('missing', 'no such file') if size < 0 else ('broken', '0 bytes')
            problems.append(Problem(ERROR, kind, files.parts(path), path, value))
    for folder, inside in missing.items():
        value = f'no such folder, {len(inside):,} images'
        problems.append(Problem(ERROR, 'missing', files.parts(*inside), folder, value))
    return files, problems


def look(files: Files, folder: Path, workers: int) -> tuple[Scan, list[Problem], list[Pair]]:
    """Open every file, and say what is wrong with it.

    Args:
        files: of the splits; those that cannot be read are taken out of ``paths``.
        folder: of the journal.
        workers: processes.

    Returns:
        What is known of the remaining files, the problems, and the near-duplicates among them.
    """
    with progress_bar('images', len(files.paths), 'images') as bar:
        seen = scan(files.paths, folder, workers, lambda done, failed: bar.advance(done))
    problems = []
    readable = seen.facts['size'] >= 0
    for i in np.flatnonzero(~readable):
        path, reason = files.paths[i], seen.facts['reason'][i].decode(errors='replace')
        problems.append(Problem(ERROR, 'broken', files.parts(path), path, reason))
    files.paths = [files.paths[i] for i in np.flatnonzero(readable)]
    seen = seen.keep(np.flatnonzero(readable))
    blank = np.array([is_blank(f['level'], f['deviation']) for f in seen.facts], bool)
    problems += _single(files, seen, blank)
    problems += _exact(files, seen)
    rows = np.flatnonzero(~blank)  # the hash of a blank image is that of all of them
    with progress_bar('near-duplicates', len(rows) * len(CROPS), 'hashes') as bar:
        found = find_near_duplicates(
            seen.facts['hashes'][rows], lambda i: seen.thumbnail(rows[i]), bar.advance
        )
    pairs = [pair._replace(one=int(rows[pair.one]), two=int(rows[pair.two])) for pair in found]
    digests = seen.facts['pixels']
    pairs = [pair for pair in pairs if (digests[pair.one] != digests[pair.two]).any()]
    problems += [_near(files, pair) for pair in pairs]
    return seen, problems, pairs


def _single(files: Files, seen: Scan, blank: np.ndarray) -> Iterator[Problem]:
    """What is wrong with one image by itself or next to the mean of its view."""
    by_view: dict[str, list[int]] = defaultdict(list)
    for i, path in enumerate(files.paths):
        fact = seen.facts[i]
        if blank[i]:
            value = f'standard deviation {fact["deviation"]:.1f} of 255, one gray level on '
            value += f'{fact["level"]:.0%} of the image'
            yield Problem(WARNING, 'blank', files.parts(path), path, value)
            continue
        view = files.views[path]
        by_view['' if view in FRONTAL else view].append(i)
        if fact['frame'] >= FRAME:
            value = f'{fact["frame"]:.0%} of the area is a frame of one gray level'
            yield Problem(NOTE, 'border', files.parts(path), path, value)
    for rows in by_view.values():
        if len(rows) < FEWEST:
            continue
        chunks = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
        small = np.concatenate([standardize(seen.thumbnails(chunk)) for chunk in chunks])
        for i, (kind, value) in zip(rows, judge_orientation(orientations(small)), strict=True):
            if kind:
                path = files.paths[i]
                yield Problem(WARNING, kind, files.parts(path), path, value)
    kinds = Counter(seen.facts['kind'].tolist())
    if len(kinds) > 1:
        rare = [kind for kind, _ in kinds.most_common()][1:]
        for kind in rare:
            paths = [files.paths[i] for i in np.flatnonzero(seen.facts['kind'] == kind)]
            value = f'{len(paths):,} images are {kind.decode()}, most are '
            value += kinds.most_common(1)[0][0].decode()
            yield Problem(NOTE, 'bit depth', files.parts(*paths), paths[0], value)


def _exact(files: Files, seen: Scan) -> Iterator[Problem]:
    """Files with the same pixels."""
    groups: dict[bytes, list[str]] = defaultdict(list)
    for path, pixels in zip(files.paths, seen.facts['pixels'], strict=True):
        groups[pixels.tobytes()].append(path)
    for paths in groups.values():
        if len(paths) > 1:
            patients = {files.patients[path] for path in paths}
            value = 'the same pixels' + (' of different patients' if len(patients) > 1 else '')
            level = ERROR if files.apart(paths) else WARNING
            rest = f' … and {len(paths) - NAMED:,} more' if len(paths) > NAMED else ''
            what = ' = '.join(paths[:NAMED]) + rest
            yield Problem(level, 'exact duplicate', files.parts(*paths), what, value)


def _near(files: Files, pair: Pair) -> Problem:
    one, two = files.paths[pair.one], files.paths[pair.two]
    value = f'{pair.distance} of {SIDE * SIDE} bits differ'
    if pair.correlation == pair.correlation:
        value += f', correlation {pair.correlation:.3f} when aligned'
    if files.patients[one] != files.patients[two]:
        value += '; different patients'
    return Problem(WARNING, 'near-duplicate', files.parts(one, two), f'{one} ~ {two}', value)


def describe_files(files: Files, seen: Scan) -> Table:
    """Formats and sizes by split."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, path in enumerate(files.paths):
        groups[files.parts(path), seen.facts['kind'][i].decode()].append(i)
    records: list[Record] = []
    for (part, kind), rows in groups.items():
        facts = seen.facts[rows]
        sizes = Counter(zip(facts['width'].tolist(), facts['height'].tolist(), strict=True))
        (width, height), count = sizes.most_common(1)[0]
        small, large = (pick(sizes, key=lambda s: s[0] * s[1]) for pick in (min, max))
        record: Record = dict(split=part, kind=kind, images=len(rows), sizes=len(sizes))
        record |= dict(size=f'{width} × {height}', share=f'{count / len(rows):.1%}')
        record |= dict(small=f'{small[0]} × {small[1]}', large=f'{large[0]} × {large[1]}')
        record |= dict(
            gray=float(facts['mean'].mean()), frames=int((facts['frame'] >= FRAME).sum())
        )
        records.append(record)
    columns = dict(split='split', format='kind', images='images', sizes='sizes')
    columns |= {'most frequent': 'size', 'share': 'share', 'smallest': 'small', 'largest': 'large'}
    columns |= {'mean gray level': 'gray', f'over {FRAME:.0%} frame': 'frames'}
    note = 'Format in the words of Pillow: L is 8 bits of gray, I;16 is 16 bits.'
    return Table('files', 'Formats and sizes', columns, records, [note])


def by_name(splits: Sequence[Split]) -> Mapping[str, tuple[str, str]]:
    """Name of an image in a prediction file → path and split."""
    return {
        image: (path, split.part)
        for split in splits
        for image, path in zip(split.images, split.paths, strict=True)
    }
