"""Results are written aside and put in place at the end: a run that is stopped changes nothing."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

TABLES = ('predictions.csv', 'predictions.json')
ASIDE, SCRATCH = '.predictions.part', 'scratch'
LIST_STARTS = ' "predictions": [\n'  # a line of predictions.json


def earlier_files(out: Path) -> list[str]:
    """What an earlier call wrote, relative to the folder.

    Raises:
        FileExistsError: tables there that no call wrote.
    """
    if not any((out / name).exists() for name in TABLES):
        return []
    path = out / 'predictions.json'
    try:
        names = json.loads(_head(path))['files']
        inside = [name for name in names if (out / name).resolve().is_relative_to(out.resolve())]
        return [str(name) for name in inside]
    except (OSError, ValueError, KeyError, TypeError):
        raise FileExistsError(
            errno.EEXIST,
            'holds predictions.csv or .json that this command did not write: give '
            'another folder (--out-dir), or move them away',
            str(out),
        ) from None


def _head(path: Path) -> str:
    """A JSON file without its predictions, which may be many: the files are named before them."""
    lines: list[str] = []
    with path.open(encoding='utf-8') as file:
        for line in file:
            if line == LIST_STARTS:
                return ''.join(lines).rstrip(',\n') + '}'
            lines.append(line)
    return ''.join(lines)


@contextmanager
def aside(out: Path) -> Iterator[Path]:
    """An empty folder in ``out``, which is removed in the end.

    Raises:
        BlockingIOError: another call writes there now.
    """
    lock = FileLock(out / f'{ASIDE}.lock')
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BlockingIOError(
            errno.EWOULDBLOCK, 'another prediction writes there now', str(out)
        ) from None
    part = out / ASIDE
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a call that was killed
        part.mkdir()
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def put_in_place(part: Path, out: Path, earlier: Sequence[str]) -> None:
    """Move the new files, the tables last, and remove earlier ones that were not replaced."""
    new = [path.relative_to(part) for path in part.rglob('*') if path.is_file()]
    new = [path for path in new if path.parts[0] != SCRATCH]
    for path in sorted(new, key=lambda path: path.name in TABLES):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(part / path, out / path)
    for name in set(earlier) - {path.as_posix() for path in new}:
        (out / name).unlink(missing_ok=True)
