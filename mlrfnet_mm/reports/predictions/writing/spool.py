"""Predictions on their way to the tables: a line per file on disk, none of it in memory.

A spool is a folder with ``scratch/records.jsonl`` and the pictures. It holds some files of the
list, one after the other; one run has one spool, several machines have several.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrfnet_mm.reports.output.page import Picture
from mlrfnet_mm.reports.predictions.figures import SIDE
from mlrfnet_mm.reports.predictions.writing.options import Options
from mlrfnet_mm.reports.predictions.writing.pictures import Pictures
from mlrfnet_mm.reports.predictions.writing.place import SCRATCH
from mlrfnet_mm.reports.predictions.writing.read_ahead import read_ahead
from mlrfnet_mm.xrays.cores import cores
from mlrfnet_mm.xrays.files import Xray

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

RECORDS = f'{SCRATCH}/records.jsonl'
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
MOST_THREADS = 4  # decode faster than any network of the zoo takes


@dataclass(frozen=True)
class Line:
    """What a spool holds of a file.

    Attributes:
        record: as the tables have it; ``study``, where it is, is None yet.
        key: which the images of one study share; None where the file is a study of its own.
        pictures: that were drawn.
        spool: the folder.
        offset: of the line in its file.
    """

    record: dict[str, Any]
    key: str | None
    pictures: list[Picture]
    spool: Path
    offset: int


def write_spool(
    inferencer: Inferencer,
    files: Sequence[Path],
    first: int,
    folder: Path,
    options: Options,
    secret: bytes,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Predict files and draw their pictures.

    One batch is decoded ahead while the network has another: at most two batches are in memory.
    A file that cannot be read or drawn becomes a record with ``error``; the others go on.

    Args:
        inferencer: the model.
        files: in the order of the list.
        first: number of the first of them in the list, from 1.
        folder: exists and is empty.
        options: see there.
        secret: makes digests of the studies' UIDs; the same one for all spools of a result.
        progress: called with the number of files done since its last call.
    """
    (folder / SCRATCH).mkdir()
    pictures = Pictures(inferencer, folder, options)
    size = options.batch_size
    ahead = read_ahead(inferencer.read, files, size, reading_threads())
    number = first
    with closing(ahead) as items, (folder / RECORDS).open('w', encoding='utf-8') as lines:
        while batch := list(islice(items, size)):
            result = inferencer(
                batch,
                batch_size=size,
                heatmap=options.heatmap,
                method=options.method,
                layer=options.layer,
                top=options.top,
                map_side=SIDE,
                with_patient=options.with_patient,
            )
            keys = [_study_key(item.get('xray'), secret) for item in batch]
            parts = (result[key] for key in ('predictions', 'images', 'visualization'))
            for record, xray, heats, key in zip(*parts, keys, strict=True):
                record['number'] = number
                number += 1
                shown: list[Picture] = []
                if xray is not None:
                    record['study'] = None  # its number is known when all files are
                    _draw(pictures, record, xray, heats, shown)
                names = [(p.path.relative_to(folder).as_posix(), p.caption) for p in shown]
                line = dict(record=record, key=key, pictures=names)
                lines.write(json.dumps(line, allow_nan=False) + '\n')
            if progress:
                progress(len(batch))
            del batch, result, parts, xray, heats  # not kept while the next is waited for


def reading_threads() -> int:
    """One for each core of the process, at most ``MOST_THREADS``."""
    return min(MOST_THREADS, cores())


def _study_key(xray: Xray | None, secret: bytes) -> str | None:
    """A digest of the study's UID, by which only those who have the secret can look for one."""
    if xray is None or not xray.in_study:
        return None
    return hashlib.blake2b(xray.study.encode(), key=secret, digest_size=16).hexdigest()


def _draw(
    pictures: Pictures, record: dict[str, Any], xray: Xray, heats: Any, shown: list[Picture]
) -> None:
    try:
        pictures.draw(record, xray, heats, shown)
    except Exception as error:  # of any kind: the other files go on
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        record['error'] = f'not drawn: {type(error).__name__}: {error}'


def read_lines(spool: Path) -> Iterator[Line]:
    """The lines of a spool, one after the other."""
    offset = 0
    with (spool / RECORDS).open('rb') as lines:
        for line in lines:
            yield _parse(line, spool, offset)
            offset += len(line)


def read_line(spool: Path, offset: int) -> Line:
    """One line of a spool."""
    with (spool / RECORDS).open('rb') as lines:
        lines.seek(offset)
        return _parse(lines.readline(), spool, offset)


def _parse(line: bytes, spool: Path, offset: int) -> Line:
    fields = json.loads(line)
    pictures = [Picture(spool / name, caption) for name, caption in fields['pictures']]
    return Line(fields['record'], fields['key'], pictures, spool, offset)
