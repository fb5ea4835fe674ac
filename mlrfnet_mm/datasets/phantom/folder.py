"""A folder of generated patients: written once, by several processes, and resumed after a kill.

What the files are is the layout's business (`files`, `chexpert.files`). Here is what all layouts
promise: nothing foreign is touched, nothing is made twice, and the bytes do not depend on workers.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from mlrfnet_mm.datasets.published.chestxray14.tables import PHANTOM_MANIFEST

Record = dict[str, Any]  # of one patient: 'patient' is the number, the rest is for the tables
FIRST_LAYOUT = 'chestxray14'  # that of folders from before the layout was among the parameters


class PhantomSummary(NamedTuple):
    """What is on the disk, and whether anything had to be written."""

    images: int
    patients: int
    written: bool


class Layout(NamedTuple):
    """How a layout writes its files.

    Attributes:
        write_patient: writes the images of the patient with this number; runs in the workers.
        write_tables: writes the tables from all records; returns the number of images.
        images: glob patterns of the images, relative to the folder.
    """

    write_patient: 'partial[Record]'
    write_tables: Callable[[list[Record]], int]
    images: tuple[str, ...]


def write_folder(
    out: Path,
    layout: Layout,
    parameters: Record,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Writes the data set under a folder, or finds it there already.

    `phantom.json`, written last, marks a finished set and holds its parameters. Until then
    `phantom.partial.jsonl` does: its first line holds the parameters, each further one holds a
    patient whose images are written, so that a second call goes on where the first was interrupted.

    Args:
        out: folder; must be new, empty, or hold a phantom of the same parameters.
        layout: how the files are written.
        parameters: all that the bytes depend on; ``layout`` and ``patients`` are among them.
        workers: processes; the files do not depend on it.
        progress: called with the number of patients finished since its last call.

    Raises:
        FileExistsError: the folder holds anything else; nothing is touched.
    """
    manifest, journal = out / PHANTOM_MANIFEST, out / 'phantom.partial.jsonl'
    patients = parameters['patients']
    if manifest.exists():
        images = _check_finished(out, manifest, parameters, layout.images)
        if progress:
            progress(patients)
        return PhantomSummary(images, patients, written=False)
    done = _begin(out, journal, parameters)
    todo = [patient for patient in range(1, patients + 1) if patient not in done]
    if progress:
        progress(len(done))
    with journal.open('a', encoding='utf-8') as file:
        for record in _run(layout.write_patient, todo, workers):
            file.write(json.dumps(record) + '\n')
            file.flush()
            done[record['patient']] = record
            if progress:
                progress(1)
    images = layout.write_tables([done[patient] for patient in range(1, patients + 1)])
    write_file(manifest, json.dumps(dict(parameters, images=images), indent=2) + '\n')
    journal.unlink()
    return PhantomSummary(images, patients, written=True)


def write_file(path: Path, content: str | bytes) -> None:
    """Writes the whole file or nothing."""
    part = path.with_name(path.name + '.part')
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(part, path)


def table(header: str, rows: list[list[Any]]) -> str:
    """The text of a csv file whose values need no quotes."""
    return header + '\n' + ''.join(','.join(map(str, row)) + '\n' for row in rows)


def _refuse(out: Path, reason: str) -> FileExistsError:
    return FileExistsError(
        f'{out} {reason}. Nothing was changed: name another folder, or remove this one first if '
        'you no longer need it'
    )


def _parameters(text: str) -> Record:
    return {'layout': FIRST_LAYOUT, **json.loads(text)}


def _check_finished(
    out: Path, manifest: Path, parameters: Record, patterns: tuple[str, ...]
) -> int:
    found = _parameters(manifest.read_text(encoding='utf-8'))
    images = found.pop('images')
    if found != parameters:
        raise _refuse(out, f'holds a phantom made with {found}, asked for was {parameters}')
    there = sum(1 for pattern in patterns for _ in out.glob(pattern))
    if there != images:
        raise _refuse(out, f'holds a finished phantom that has {there} of its {images} images left')
    return images


def _begin(out: Path, journal: Path, parameters: Record) -> dict[int, Record]:
    """Opens the journal, or reads the records of the patients that an earlier call finished."""
    records: list[Record] = []
    if journal.exists():
        # An interrupted call may have left half a line.
        lines = journal.read_text(encoding='utf-8').splitlines(keepends=True)
        whole = [line for line in lines if line.endswith('\n')]
        if whole and (found := _parameters(whole[0])) != parameters:
            raise _refuse(
                out, f'holds an unfinished phantom of {found}, asked for was {parameters}'
            )
        records = [json.loads(line) for line in whole[1:]]
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise _refuse(out, 'exists and holds something that is not a generated phantom')
    out.mkdir(parents=True, exist_ok=True)
    write_file(journal, ''.join(json.dumps(record) + '\n' for record in [parameters, *records]))
    return {record['patient']: record for record in records}


def _run(task: 'partial[Record]', patients: list[int], workers: int) -> Iterator[Record]:
    """The records of the patients in order, from a pool of processes if there are several."""
    if workers <= 1 or not patients:
        yield from map(task, patients)
        return
    # A fork server has no threads to inherit, and imports the layout once for all workers.
    method = 'forkserver' if 'forkserver' in get_all_start_methods() else 'spawn'
    context = get_context(method)
    if method == 'forkserver':
        context.set_forkserver_preload([task.func.__module__])
    pool = ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        yield from pool.map(task, patients, chunksize=8)
    finally:
        pool.shutdown(cancel_futures=True)
