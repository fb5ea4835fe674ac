"""The shards of a prediction in a folder that all machines share, each there whole or not at all.

A shard is some files of the list, one after the other, and a spool. It is written under another
name and renamed, so that it is there as a whole or not at all; the first of two that write the same
one wins. Shards begin at multiples of the batch size: the batches, and with them the last digits
of the scores, are those of one run.

::

    OUT/.predictions.shards/DIGEST/plan/         the call, and a secret that its shards share
                                  /3-of-16/      a shard that is done
                                  /part_…/       one that is being written, or was when killed
                                  /joined.json   the shards' result is in OUT
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.predictions.writing.options import Options, Outcome
from mlrfnet_mm.reports.predictions.writing.place import (
    SCRATCH,
    TABLES,
    aside,
    earlier_files,
    put_in_place,
)
from mlrfnet_mm.reports.predictions.writing.results import write_results

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

FOLDER = '.predictions.shards'
PLAN, JOINED = 'plan', 'joined.json'


class Shards:
    """The shards of one call.

    Args:
        out: folder of the results.
        files: the whole list.
        count: of the shards.
        options: see there.
        settings: what else the scores depend on: stamp of the model, limits of the images.

    Raises:
        FileExistsError: tables in ``out`` that no call wrote.
        ValueError: shards of another call are there which were not joined.
    """

    def __init__(
        self,
        out: Path,
        files: Sequence[Path],
        count: int,
        options: Options,
        settings: Mapping[str, Any],
    ) -> None:
        earlier_files(out)
        self.out, self.files, self.count, self.options = out, files, count, options
        names = '\n'.join(map(str, files)).encode(errors='surrogateescape')
        call = dict(files=len(files), list=_digest(names), shards=count)
        call |= {key: value for key, value in asdict(options).items() if key != 'labels'}
        if options.labels is not None:
            call['labels'] = _digest(json.dumps(options.labels, sort_keys=True).encode())
        call = json.loads(json.dumps({**call, **settings}))
        self.folder = out / FOLDER / _digest(json.dumps(call, sort_keys=True).encode())
        self.call = call
        self._refuse_others()

    def _refuse_others(self) -> None:
        call = self.call
        for path in (self.out / FOLDER).glob(f'*/{PLAN}/{PLAN}.json'):
            folder = path.parents[1]
            if folder == self.folder or (folder / JOINED).is_file():
                continue
            try:
                other = json.loads(path.read_text(encoding='utf-8'))['call']
            except FileNotFoundError:  # joined and removed meanwhile
                continue
            keys = [key for key in {**other, **call} if other.get(key) != call.get(key)]
            found = '; '.join(f'{key} {other.get(key)!r}, now {call.get(key)!r}' for key in keys)
            raise ValueError(
                f'{folder} holds shards of another call, with {found}: give all shards the same '
                'words but for i, or another folder (--out-dir), or remove that one'
            )

    @cached_property
    def secret(self) -> bytes:
        """That of the shard which came first, by which all of them know a study again."""
        if self.joined() is None:
            (self.folder / JOINED).unlink(missing_ok=True)  # its result was replaced since
        with self._part() as part:
            content = dict(call=self.call, secret=secrets.token_hex(16))
            (part / f'{PLAN}.json').write_text(json.dumps(content, indent=1), encoding='utf-8')
            _rename_if_first(part, self.folder / PLAN)
        text = (self.folder / PLAN / f'{PLAN}.json').read_text(encoding='utf-8')
        return bytes.fromhex(json.loads(text)['secret'])

    def range(self, shard: int) -> range:
        """Places in the list of a shard's files, which may be none; shards count from 1."""
        size = self.options.batch_size
        batches = -(-len(self.files) // size)
        start, stop = (k * batches // self.count * size for k in (shard - 1, shard))
        return range(start, min(stop, len(self.files)))

    def spool(self, shard: int) -> Path:
        """Folder of a shard that is done."""
        return self.folder / f'{shard}-of-{self.count}'

    def missing(self) -> list[int]:
        """The shards that are not done."""
        return [i for i in range(1, self.count + 1) if not self.spool(i).is_dir()]

    @contextmanager
    def writing(self, shard: int) -> Iterator[Path]:
        """A folder for the spool of a shard; in the end it becomes the shard."""
        with self._part() as part:
            yield part
            _rename_if_first(part, self.spool(shard))

    @contextmanager
    def _part(self) -> Iterator[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix='part_', dir=self.folder))
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def joined(self) -> Outcome | None:
        """What was done, if the shards' result is in its place."""
        path, table = self.folder / JOINED, self.out / TABLES[1]
        if not (path.is_file() and table.is_file()):
            return None
        record = json.loads(path.read_text(encoding='utf-8'))
        if record['sha256'] != _file_digest(table):
            return None  # another call wrote there since
        written = [self.out / name for name in record['written']]
        return Outcome(record['count'], record['errors'], written)

    def join(self, inferencer: Inferencer) -> Outcome | None:
        """Put the shards' result in place of an earlier one, and remove the shards.

        A kill at any moment leaves either them or the result; the next call goes on from there.

        Returns:
            What was done; None if another process joins them now.
        """
        try:
            with aside(self.out) as part:
                outcome = self.joined() or self._join(inferencer, part)
        except BlockingIOError:
            return self.joined()
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
        return outcome

    def _join(self, inferencer: Inferencer, part: Path) -> Outcome:
        earlier = earlier_files(self.out)
        (part / SCRATCH).mkdir()
        spools = [self.spool(i) for i in range(1, self.count + 1)]
        outcome = write_results(spools, part, inferencer, self.options.report)
        put_in_place(part, self.out, earlier)
        names = [path.as_posix() for path in outcome.written]
        record = dict(count=outcome.count, errors=outcome.errors, written=names)
        record['sha256'] = _file_digest(self.out / TABLES[1])
        write_text(self.folder / JOINED, json.dumps(record))
        outcome.written = [self.out / path for path in outcome.written]
        return outcome


def _rename_if_first(part: Path, target: Path) -> None:
    try:
        os.rename(part, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _file_digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
