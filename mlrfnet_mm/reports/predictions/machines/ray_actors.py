"""A prediction on a Ray cluster: actors predict the shards, this process writes them.

An actor has one model. It is sent the names of a shard's files and sends back the spool, so that
only this process needs the folder of the results. At most two shards are under way per actor: what
is done is taken before more is given. An actor that dies is begun again, with its shards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlrfnet_mm.reports.output.cluster import connect, gpus
from mlrfnet_mm.reports.predictions.machines.shards import Shards
from mlrfnet_mm.reports.predictions.writing.options import Options
from mlrfnet_mm.reports.predictions.writing.spool import write_spool

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

BATCHES = 4  # of a shard
UNDER_WAY = 2  # shards per actor: one that it has, and the next
RETRIES = 3  # of a shard whose actor died: it may be the shard that kills


def shard_count(files: int, batch_size: int) -> int:
    """Number of shards of ``BATCHES`` batches."""
    return max(1, -(-files // (BATCHES * batch_size)))


class Predictor:
    """One model, in a process of its own.

    Args:
        make: makes the inferencer.
        options: see there.
        folder: working directory of the process that asks: names of files may be relative to it.
    """

    def __init__(self, make: Callable[[], Inferencer], options: Options, folder: str) -> None:
        os.chdir(folder)
        self.inferencer, self.options = make(), options

    def predict(self, files: Sequence[Path], first: int, secret: bytes) -> dict[str, bytes]:
        """The files of a shard's spool: path in it → content."""
        with TemporaryDirectory() as name:
            spool = Path(name)
            write_spool(self.inferencer, files, first, spool, self.options, secret)
            paths = [path for path in spool.rglob('*') if path.is_file()]
            return {path.relative_to(spool).as_posix(): path.read_bytes() for path in paths}


def predict_on_ray(
    make: Callable[[], Inferencer],
    shards: Shards,
    address: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Predict all shards that are missing.

    An actor takes one GPU; where the cluster has none, one CPU core.

    Args:
        make: makes the inferencer, on every actor.
        shards: of the call.
        address: see :func:`~mlrfnet_mm.reports.output.cluster.connect`.
        progress: called with the number of files done since its last call.

    Raises:
        ImportError: Ray is not installed.
        RuntimeError: a shard's actor died, again and again.
        OSError: the folder cannot be written, or the disk is full.
    """
    missing = shards.missing()
    if progress:
        progress(len(shards.files) - sum(len(shards.range(shard)) for shard in missing))
    if not missing:
        return
    ray = connect(address)
    actor = ray.remote(max_restarts=-1, max_task_retries=RETRIES, num_cpus=1)(Predictor)
    count, gpu = gpus(ray), 1
    if not count:
        count, gpu = max(1, int(ray.cluster_resources().get('CPU', 1))), 0
    words = ray.put(make), ray.put(shards.options), os.getcwd()
    actors = [actor.options(num_gpus=gpu).remote(*words) for _ in range(min(count, len(missing)))]
    under_way: dict[Any, tuple[int, Any]] = {}  # what Ray promises → shard and actor

    def give(actor: Any) -> None:
        if missing:
            shard = missing.pop(0)
            places = shards.range(shard)
            files = shards.files[places.start : places.stop]
            promise = actor.predict.remote(files, places.start + 1, shards.secret)
            under_way[promise] = shard, actor

    try:
        for _ in range(UNDER_WAY):
            for each in actors:
                give(each)
        while under_way:
            (promise, *_), _ = ray.wait(list(under_way), num_returns=1)
            shard, free = under_way.pop(promise)
            _write(shards, shard, _result(ray, promise, shards, shard))
            del promise  # and with it what Ray's store keeps
            give(free)
            if progress:
                progress(len(shards.range(shard)))
    finally:
        for each in actors:
            ray.kill(each)


def _result(ray: Any, promise: Any, shards: Shards, shard: int) -> dict[str, bytes]:
    try:
        found: dict[str, bytes] = ray.get(promise)
    except ray.exceptions.RayActorError as error:
        places = shards.range(shard)
        first, last = shards.files[places.start], shards.files[places.stop - 1]
        raise RuntimeError(
            f'the actor with the files from {first} to {last} died {RETRIES + 1} times, or could '
            f'not begin; what is done is kept, the same command goes on from there: {error}'
        ) from error
    return found


def _write(shards: Shards, shard: int, content: dict[str, bytes]) -> None:
    with shards.writing(shard) as part:
        for name, data in content.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(data)
