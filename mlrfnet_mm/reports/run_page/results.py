"""What a run's page and its model card are about, computed and read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlrfnet_mm.evaluation import Calibration
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.run_page.finished_run import TEST, VAL, Run, read_run, two_checkpoints
from mlrfnet_mm.reports.run_page.found.tables import Found, find
from mlrfnet_mm.reports.run_page.found.topics import TOPICS
from mlrfnet_mm.reports.scores.calibrate import calibration_table
from mlrfnet_mm.reports.scores.statistics import Statistics, evaluate_predictions


@dataclass(frozen=True)
class Results:
    """A run and its numbers; None for what is not there.

    Attributes:
        run: the work directory and what it holds.
        statistics: of the test predictions; its first table is that of the areas.
        calibration: of the folder's ``calibration.json``.
        calibrated: its table on the test predictions.
        found: topic → what other commands wrote about it.
    """

    run: Run
    statistics: Statistics | None
    calibration: Calibration | None
    calibrated: Table | None
    found: Mapping[str, Found]


def read_results(work_dir: str | Path, replicates: int = 1000, seed: int = 0) -> Results:
    """Read a work directory and compute the statistics of its predictions.

    Args:
        work_dir: folder of the run.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
    """
    run = read_run(work_dir)
    statistics = None
    test, val = run.scored(TEST), run.scored(VAL)
    if test is not None:
        if val is not None and two_checkpoints(test, val):
            val = None  # the sections name the file and the command that makes it again
        files = {'predictions': TEST} | ({'val': VAL} if val else {})
        statistics = evaluate_predictions(test, val, replicates=replicates, seed=seed, files=files)
    found = {topic.key: find(run, topic) for topic in TOPICS}
    return Results(run, statistics, *_calibration(run), found)


def _calibration(run: Run) -> tuple[Calibration | None, Table | None]:
    """The folder's calibration and how good it is on the test predictions."""
    file = run.folder / 'calibration.json'
    test, val = run.predictions[TEST], run.predictions[VAL]  # by image, as predictions are made
    if test is None or val is None or two_checkpoints(test, val) or not file.is_file():
        return None, None
    calibration = Calibration.load(file)
    return calibration, calibration_table(calibration, val, test)
