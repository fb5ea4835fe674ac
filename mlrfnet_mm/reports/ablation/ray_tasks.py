"""The runs of a table side by side on a Ray cluster, each with its GPUs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mlrfnet_mm.reports.ablation.execute import PATIENCE, Settings, ToolFailed, complete, to_do
from mlrfnet_mm.reports.ablation.runs import Run
from mlrfnet_mm.reports.output.cluster import connect, gpus
from mlrfnet_mm.reports.output.progress import progress_bar


def execute_on_ray(
    runs: Sequence[Run],
    settings: Settings,
    work: Path,
    console: Console,
    address: str | None = None,
) -> list[str]:
    """As :func:`~.execute.execute`, with as many runs at once as the cluster has room for.

    A run takes one GPU and one CPU core per process, where the cluster has no GPU the cores alone.
    The machines share the working directory and the folders of the runs. A run whose machine is
    lost goes on from its last checkpoint on another one; the same run of two rows is run once.

    Returns:
        What failed, one message per run. The other runs went on.

    Raises:
        ImportError: Ray is not installed.
        ValueError: folders that hold runs on something else; more processes than the cluster has
            GPUs or cores.
    """
    ray = connect(address)
    room, kind = gpus(ray), 'GPUs'
    gpu = settings.processes if room else 0
    if not room:
        room, kind = int(ray.cluster_resources().get('CPU', 0)), 'cores'
    if settings.processes > room:
        raise ValueError(f'--gpus {settings.processes}: the Ray cluster has {room} {kind} in all')
    pending = to_do(runs, settings, console)
    task = ray.remote(num_gpus=gpu, num_cpus=settings.processes)(_complete)
    words = settings, work, os.getcwd()
    first: dict[str, Any] = {}  # fingerprint → its first run, which the others wait for
    under_way = {}
    for run, record in pending:
        promise = task.remote(run, record, *words, first.get(record['fingerprint']))
        first.setdefault(record['fingerprint'], promise)
        under_way[promise] = run
    failures = []
    try:
        with progress_bar('', len(pending), 'runs', console) as bar:
            while under_way:
                (promise, *_), _ = ray.wait(list(under_way), num_returns=1)
                run = under_way.pop(promise)
                try:
                    done, text = ray.get(promise)
                except ray.exceptions.RayError as error:
                    done, text = False, f'{run}: {error}'
                if not done:
                    failures.append(text)
                console.print(text, markup=False, style=None if done else 'red')
                bar.advance()
    except BaseException:  # Ctrl-C: the tools are told to end, as without Ray
        for promise in under_way:
            ray.cancel(promise)
        ray.wait(list(under_way), num_returns=len(under_way), timeout=PATIENCE)
        raise
    return failures


def _complete(
    run: Run,
    record: Mapping[str, Any],
    settings: Settings,
    work: Path,
    folder: str,
    _after: Any,  # what came of another run, which Ray waits for
) -> tuple[bool, str]:
    """Bring a run to its end on a machine of the cluster; say whether it is done, and how."""
    os.chdir(folder)
    try:
        return True, f'{run}: {complete(run, record, settings, work, lambda *_: None)}'
    except ToolFailed as error:
        return False, str(error)
