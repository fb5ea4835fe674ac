"""Predict image files and write what was found: what ``mlrfnet predict`` does on one machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.reports.predictions.writing.options import Options, Outcome
from mlrfnet_mm.reports.predictions.writing.place import aside, earlier_files, put_in_place
from mlrfnet_mm.reports.predictions.writing.results import write_results
from mlrfnet_mm.reports.predictions.writing.spool import write_spool

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

__all__ = ['Options', 'Outcome', 'predict_files']


def predict_files(
    inferencer: Inferencer,
    files: Sequence[Path],
    out: str | Path,
    options: Options,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Predict and write ``predictions.csv``, ``predictions.json`` and what the options ask for.

    A file that cannot be read or drawn becomes a record with ``error``; the others go on. All is
    written aside and put in place at the end: a run that is stopped leaves an earlier one's files.

    Args:
        inferencer: the model.
        files: see :func:`~mlrfnet_mm.xrays.files.list_files`.
        out: folder; what an earlier call wrote there, by the list in its ``predictions.json``, is
            replaced.
        options: see there.
        progress: called with the number of files done since its last call.

    Raises:
        BlockingIOError: another call writes there now.
        FileExistsError: tables there that no call wrote.
        OSError: the folder cannot be written, or the disk is full.
    """
    out = Path(out)
    if options.heatmap:
        inferencer.mapper(options.method, options.layer)  # refuses before the first file
    earlier = earlier_files(out)
    out.mkdir(parents=True, exist_ok=True)
    with aside(out) as part:
        write_spool(inferencer, files, 1, part, options, secrets.token_bytes(16), progress)
        outcome = write_results([part], part, inferencer, options.report)
        put_in_place(part, out, earlier)
    outcome.written = [out / path for path in outcome.written]
    return outcome
