"""One shard of a prediction; whoever finds that all are done joins them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mlrfnet_mm.reports.predictions.machines.shards import Shards
from mlrfnet_mm.reports.predictions.writing.options import Outcome
from mlrfnet_mm.reports.predictions.writing.spool import read_lines, write_spool

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer


def predict_shard(
    inferencer: Inferencer,
    shards: Shards,
    shard: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[Outcome | None, Outcome | None]:
    """Predict a shard unless it is done, and join all if none is missing.

    Args:
        inferencer: the model.
        shards: of the call.
        shard: its number, from 1.
        progress: see :func:`write_spool`.

    Returns:
        What was done of the shard, None if all shards were joined before; and of the whole, None
        while shards are missing or another process joins them.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    if shards.joined():
        return None, shards.join(inferencer)  # a kill may have left something to remove
    try:
        own = _shard(inferencer, shards, shard, progress)
    except FileNotFoundError:  # another process had the same shard, and joined all
        if done := shards.joined():
            return None, done
        raise
    if shards.missing():
        return own, shards.joined()  # they are gone when another process has joined them
    return own, shards.join(inferencer)


def _shard(
    inferencer: Inferencer,
    shards: Shards,
    shard: int,
    progress: Callable[[int], None] | None,
) -> Outcome:
    spool, options, places = shards.spool(shard), shards.options, shards.range(shard)
    if not spool.is_dir():
        if options.heatmap:
            inferencer.mapper(options.method, options.layer)  # refuses before the first file
        secret, files = shards.secret, shards.files[places.start : places.stop]
        with shards.writing(shard) as part:
            write_spool(inferencer, files, places.start + 1, part, options, secret, progress)
    elif progress:
        progress(len(places))
    errors = [line.record for line in read_lines(spool) if 'error' in line.record]
    return Outcome(len(places), errors)
