"""One run, a row with a seed: its files, and whether it is done, begun or another one's."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.ablation.fingerprint import commit, data_fingerprint, digest, relevant
from mlrfnet_mm.reports.ablation.plan import Plan, Row


@dataclass(frozen=True)
class Run:
    """A row with a seed.

    Attributes:
        row: name of the row.
        seed: of the run.
        config: the row's, with the seed; what the tools are started with.
        folder: work directory of the training: ``<work>/<row>/seed<k>``.
    """

    row: str
    seed: int
    config: Config
    folder: Path

    def __str__(self) -> str:
        """Name it in a message."""
        return f'row {self.row}, seed {self.seed}'

    @property
    def predictions(self) -> Path:
        """File of the test predictions."""
        return self.folder / 'predictions.npz'

    @property
    def config_file(self) -> Path:
        """The whole config; next to the folder, where mmengine writes its own."""
        return self.folder.with_name(f'{self.folder.name}.py')

    def record(self, name: str) -> dict[str, Any]:
        """Read ``begun.json`` or ``done.json``; empty where it is not."""
        file = self.folder / f'{name}.json'
        content: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
        return content

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write such a record as a whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, ensure_ascii=False) + '\n'
        write_text(self.folder / f'{name}.json', text)


def list_runs(plan: Plan, seeds: Sequence[int], work: Path, only: Iterable[str] = ()) -> list[Run]:
    """List the runs of a table: seed after seed, so that every row soon has one.

    Args:
        plan: the table.
        seeds: of the runs.
        work: folder of the runs.
        only: names of rows; all by default.

    Raises:
        ValueError: no such row, or a seed twice.
    """
    names = [row.name for row in plan.rows]
    wanted = set(only) or set(names)
    if unknown := sorted(wanted - set(names)):
        raise ValueError(f'no row {unknown[0]!r} in {plan.name}; it has {", ".join(names)}')
    if len(set(seeds)) < len(seeds):
        raise ValueError(f'--seeds: one is there twice: {" ".join(map(str, seeds))}')
    rows = [row for row in plan.rows if row.name in wanted]
    return [make_run(row, seed, work) for seed in seeds for row in rows]


def make_run(row: Row, seed: int, work: Path) -> Run:
    """Put the seed into the row's config."""
    config = deepcopy(row.config)
    config.merge_from_dict({'randomness.seed': seed})
    return Run(row.name, seed, config, work / row.name / f'seed{seed}')


def expectation(run: Run, processes: int) -> dict[str, Any]:
    """Say what the run is based on, for its records: config, data, processes and their digest.

    The number of processes belongs to it, as the batch grows with it. The source does not: a comma
    in a docstring would cost days of training. Its commit is recorded, and the table names it.
    """
    config, data = relevant(run.config), data_fingerprint(run.config)
    return dict(
        fingerprint=digest([config, data, processes]),
        config=config,
        data=data,
        processes=processes,
        commit=commit(),
        started=datetime.now().isoformat(timespec='seconds'),
    )


def state(run: Run, expected: Mapping[str, Any]) -> str:
    """Say how far a run is: ``'done'``, ``'begun'`` or ``'new'``.

    Raises:
        ValueError: the folder holds a run on something else, or none of ``mlrfnet ablate``.
    """
    begun = run.record('begun')
    if begun and begun['fingerprint'] == expected['fingerprint']:
        return 'done' if run.record('done') and run.predictions.is_file() else 'begun'
    if begun:
        raise ValueError(f'{run.folder} holds {run} on something else: {changes(begun, expected)}')
    if run.folder.is_dir() and any(run.folder.iterdir()):
        raise ValueError(f'{run.folder} holds files, and no run of mlrfnet ablate ({run})')
    return 'new'


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what differs between two records, the first three keys of the configs."""
    parts = []
    a, b = before['config'], now['config']
    keys = [key for key in sorted(a.keys() | b.keys()) if a.get(key, ...) != b.get(key, ...)]
    for key in keys[:3]:
        parts.append(f'{key} was {a.get(key, "absent")!r}, is {b.get(key, "absent")!r}')
    if len(keys) > 3:
        parts.append(f'and {len(keys) - 3} keys more')
    for what in ('data', 'processes'):
        if what in now and before[what] != now[what]:
            parts.append(f'{what} were {before[what]}, are {now[what]}')
    return '; '.join(parts)


def finished(run: Run) -> tuple[bool, str]:
    """Say whether the run is done, and how its config differs if it is done with another one.

    Unlike :func:`state` this needs no data set: a table can be written anywhere.
    """
    begun = run.record('begun')
    if not (begun and run.record('done') and run.predictions.is_file()):
        return False, ''
    other = changes(begun, dict(config=relevant(run.config)))
    return not other, other


def move_aside(run: Run) -> Path:
    """Rename the run's folder with the time, and return the new one; nothing is deleted."""
    stamp = datetime.now().strftime('%Y%m%d_%H%M%S')
    aside = run.folder.with_name(f'{run.folder.name}_until_{stamp}')
    run.folder.rename(aside)
    return aside


def reuse(run: Run, expected: Mapping[str, Any], tables: Path) -> Path | None:
    """Take over the same run from another row or table, if it is done there.

    The base row is the same in every table, and a sweep passes over it too.

    Args:
        run: which is not done.
        expected: its record.
        tables: folder of the tables' folders.

    Returns:
        The folder of the other run, or None.
    """
    for file in sorted(tables.glob('*/*/seed*/done.json')):
        done, other = json.loads(file.read_text()), file.parent
        same = done.get('fingerprint') == expected['fingerprint']
        if same and other != run.folder and (other / 'predictions.npz').is_file():
            run.write('begun', expected)
            shutil.copy2(other / 'predictions.npz', run.predictions)
            origin = other / done.get('taken_from', '')  # where the log is
            run.write('done', {**done, 'taken_from': os.path.relpath(origin, run.folder)})
            return other
    return None
