"""Train and test the runs, one after the other, by the project's own tools."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from mlrfnet_mm.reports.ablation.runs import Run, expectation, move_aside, reuse, state
from mlrfnet_mm.reports.output.progress import progress_bar

LAST_LINES = 12
PATIENCE = 30  # seconds that a tool has to end when it is told to


class ToolFailed(Exception):
    """A tool ended with an error; the message names the run, the log and its end."""


@dataclass(frozen=True)
class Settings:
    """How the runs go.

    Attributes:
        processes: of one run; over 1 by torchrun.
        redo: move a run on something else aside and begin again, instead of refusing.
        command: of the user, for the records.
        tools: folder with other programs ``train.py`` and ``test.py``; None: this project's.
    """

    processes: int = 1
    redo: bool = False
    command: str = ''
    tools: Path | None = None


def execute(runs: Sequence[Run], settings: Settings, work: Path, console: Console) -> list[str]:
    """Bring every run to its end; what is done is left alone.

    All folders are looked at before the first training: nothing starts if one is refused.

    Returns:
        What failed, one message per run. The other runs went on.

    Raises:
        ValueError: folders that hold runs on something else.
    """
    failures = []
    pending = to_do(runs, settings, console)
    with progress_bar('', len(pending), 'runs', console) as bar:
        for i, (run, record) in enumerate(pending):

            def show(text: str, part: float, run: Run = run, i: int = i) -> None:
                bar.show(f'{run.row} seed {run.seed}: {text}', i + part)

            try:
                console.print(f'{run}: {complete(run, record, settings, work, show)}')
            except ToolFailed as error:
                failures.append(str(error))
                console.print(str(error), markup=False, style='red')
            bar.show('', i + 1)
    return failures


def to_do(
    runs: Sequence[Run], settings: Settings, console: Console
) -> list[tuple[Run, dict[str, Any]]]:
    """The runs that are not done, with their records; see :func:`execute`."""
    expected = [expectation(run, settings.processes) for run in runs]
    _clear(runs, expected, settings.redo, console)
    pending = [pair for pair in zip(runs, expected, strict=True) if state(*pair) != 'done']
    if len(runs) > len(pending):
        console.print(f'{len(runs) - len(pending)} of {len(runs)} runs are done already')
    return pending


def _clear(
    runs: Sequence[Run], expected: Sequence[Mapping[str, Any]], redo: bool, console: Console
) -> None:
    """Refuse the runs on something else, all at once, or move them aside."""
    problems = []
    for run, record in zip(runs, expected, strict=True):
        try:
            state(run, record)
        except ValueError as error:
            problems.append(str(error))
            if redo:
                console.print(f'{error}; moved to {move_aside(run)}', markup=False)
    if problems and not redo:
        raise ValueError(
            '\n'.join(problems) + '\nCheckpoints of two configs or data sets are never mixed: take '
            'another --work-dir, or --redo to move these aside and begin them again'
        )


def complete(
    run: Run,
    record: Mapping[str, Any],
    settings: Settings,
    work: Path,
    show: Callable[[str, float], None],
) -> str:
    """Train and test one run, under its lock; return how it went."""
    with _lock(run, show) as lock:
        if state(run, record) == 'done':
            return 'done meanwhile by another process'
        if other := reuse(run, record, work.parent):
            return f'the same as {other}, taken over'
        run.write('begun', record)
        run.config.dump(run.config_file)
        start = time.monotonic()
        resume = (run.folder / 'last_checkpoint').is_file()
        # a training at its end returns at once when it is resumed
        _call(run, 'train', _train(run, settings, resume), lock, show)
        _call(run, 'test', _test(run, settings), lock, show)
        if not run.predictions.is_file():
            raise ToolFailed(f'{run}: mlrfnet test ended and wrote no {run.predictions}')
        seconds = round(time.monotonic() - start)
        brief = {key: value for key, value in record.items() if key not in ('config', 'started')}
        brief |= dict(
            finished=datetime.now().isoformat(timespec='seconds'),
            seconds=seconds,
            command=settings.command,
            epochs=run.config.train_cfg.get('max_epochs', 'by iterations'),
            partial_test=_is_partial(run.config.test_dataloader.dataset),
        )
        run.write('done', brief)
        return f'done{" (resumed)" if resume else ""} in {seconds // 60} min {seconds % 60} s'


def _is_partial(dataset: Mapping[str, Any]) -> bool:
    """Whether a data set's config leaves images out."""
    return dataset.get('indices') is not None or dataset.get('views', 'all') != 'all'


@contextmanager
def _lock(run: Run, show: Callable[[str, float], None]) -> Iterator[IO[str]]:
    """Hold the run's lock. The tools inherit it: one that outlives a killed ablate.py keeps it."""
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    with run.folder.with_name(f'{run.folder.name}.lock').open('a') as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                show('waiting for another process that works on it', 0)
                time.sleep(1)
        yield file


def _train(run: Run, settings: Settings, resume: bool) -> list[str]:
    """Command of the training."""
    options = ['--work-dir', str(run.folder), *(['--resume'] if resume else [])]
    return [*_start(run, settings, 'train'), *options]


def _test(run: Run, settings: Settings) -> list[str]:
    """Command of the test, on the best checkpoint, else the latest."""
    head = _start(run, settings, 'test', str(run.folder))
    return [*head, '--work-dir', str(run.folder / 'test'), '--out', str(run.predictions)]


def _start(run: Run, settings: Settings, tool: str, *more: str) -> list[str]:
    """Begin a command: by python, or with several processes by torchrun on a free port."""
    what = [str(settings.tools / f'{tool}.py')] if settings.tools else ['-m', 'mlrfnet_mm', tool]
    script = [*what, str(run.config_file), *more]
    if settings.processes == 1:
        return [sys.executable, *script]
    torchrun = ['torch.distributed.run', '--standalone', f'--nproc_per_node={settings.processes}']
    return [sys.executable, '-m', *torchrun, *script, '--launcher', 'pytorch']


def _call(
    run: Run,
    tool: str,
    command: Sequence[str],
    lock: IO[str],
    show: Callable[[str, float], None],
) -> None:
    """Run a tool to its end, its output in ``<tool>.log`` of the run.

    Raises:
        ToolFailed: it ended with an error.
    """
    log = run.folder / f'{tool}.log'
    show(tool, 0)
    with log.open('ab') as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
        )
        try:
            while child.poll() is None:
                show(*(_progress(run) if tool == 'train' else ('test', 0.95)))
                time.sleep(0.5)
        except BaseException:  # Ctrl-C, or the scheduler's SIGTERM: do not leave it behind
            child.terminate()
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise
    if child.returncode:
        lines = log.read_text(errors='replace').splitlines()[-LAST_LINES:]
        end = '\n'.join(f'    {line}' for line in lines)
        raise ToolFailed(f'{run}: {tool} failed (exit {child.returncode}), see {log}\n{end}')


def _progress(run: Run) -> tuple[str, float]:
    """Epoch of the training from the end of its log, and the share that is done."""
    logs = sorted(run.folder.glob('*/vis_data/scalars.json'))
    last = (run.config.get('train_cfg') or {}).get('max_epochs')
    if not logs or not last:
        return 'train', 0.0
    with logs[-1].open('rb') as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            epoch = json.loads(line)['epoch']
        except (ValueError, KeyError, TypeError):
            continue
        return f'train, epoch {epoch} of {last}', 0.9 * (epoch - 1) / last
    return 'train', 0.0
