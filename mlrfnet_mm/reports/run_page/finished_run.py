"""A work directory and what ``mlrfnet report`` finds in it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.pairing import load_predictions

TEST, VAL = 'predictions.npz', 'val_predictions.npz'


@dataclass(frozen=True)
class Run:
    """A work directory and what was found in it; None for what is not there.

    Attributes:
        folder: the directory.
        config: of the last training.
        config_name: its name.
        config_file: the copy of it in the directory, with the options of the training.
        predictions: ``TEST`` and ``VAL`` → predictions by image.
    """

    folder: Path
    config: Config | None
    config_name: str
    config_file: Path | None
    predictions: Mapping[str, Predictions | None]

    def scored(self, name: str) -> Predictions | None:
        """Predictions as they are scored: by study where the data set has studies."""
        predictions = self.predictions[name]
        if predictions is None or predictions.studies is None:
            return predictions
        return predictions.per_study()

    def quoted(self) -> tuple[str, str]:
        """Config and folder for a command line."""
        return shlex.quote(str(self.config_file or 'CONFIG')), shlex.quote(str(self.folder))


def read_run(folder: str | Path) -> Run:
    """Read the config of the last training and the saved predictions.

    Raises:
        NotADirectoryError: no such folder.
        ValueError: a broken prediction file or config.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'no work directory {folder.absolute()}')
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    logged = logs[-1].parent / 'config.py' if logs else None
    logged = logged if logged and logged.is_file() else None
    named = next(iter(sorted(folder.glob('*.py'))), None)
    # a later test in the folder writes the named copy again, with its own options
    same = named and logged and named.read_bytes() == logged.read_bytes()
    predictions = {
        name: load_predictions(folder / name) if (folder / name).is_file() else None
        for name in (TEST, VAL)
    }
    config = read_config(logged) if logged else None
    name = named.stem if named else 'CONFIG'
    return Run(folder, config, name, named if same else logged, predictions)


def test_command(run: Run, out: str, options: str = '') -> str:
    """Command that writes the predictions of one split into the work directory."""
    config, folder = run.quoted()
    return f'mlrfnet test {config} {folder} --out {folder}/{out}{options}'


def two_checkpoints(test: Predictions, val: Predictions) -> bool:
    """Whether the files say that they are of different weights."""
    return bool(test.checkpoint and val.checkpoint and test.checkpoint != val.checkpoint)
