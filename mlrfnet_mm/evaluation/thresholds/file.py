"""Thresholds chosen on validation, as ``thresholds.json`` next to a checkpoint."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation.files.json_files import check_unit, from_nulls, read_object, to_nulls
from mlrfnet_mm.evaluation.files.whole_files import write_text

ON = ('scores', 'calibrated')
FILE_NAME = 'thresholds.json'
NEWER = ('site',)  # files from before it are read, too


@dataclass(frozen=True)
class Thresholds:
    """At and above which value each finding is called.

    Attributes:
        classes: K names of the findings, in the order of the scores.
        rule: how they were chosen, see
            :func:`~mlrfnet_mm.evaluation.thresholds.choose.choose_thresholds`.
        thresholds: (K,); NaN for a class that validation had one label value of: no decision.
        on: what they are compared with: ``'scores'`` as the model gives them, or ``'calibrated'``
            probabilities of the ``calibration.json`` in the same folder.
        stamp: of the validation predictions, as ``'ChestX-ray14 official/val'``.
        checkpoint: digest of the checkpoint that made them; ``''`` if not recorded.
        unit: what they are for, ``'image'`` or ``'study'`` (the maximum over its images).
        site: name of the site that they are for; ``''``: where the checkpoint was validated.
    """

    classes: tuple[str, ...]
    rule: str
    thresholds: np.ndarray
    on: str
    stamp: str
    checkpoint: str = ''
    unit: str = 'image'
    site: str = ''

    def save(self, folder: str | Path) -> Path:
        """Write ``thresholds.json`` into the folder; NaN becomes null."""
        fields = asdict(self) | dict(thresholds=to_nulls(self.thresholds))
        fields = {key: value for key, value in fields.items() if key not in NEWER or value}
        path = Path(folder) / FILE_NAME
        write_text(path, json.dumps(fields, indent=2, allow_nan=False) + '\n')
        return path

    @classmethod
    def load(cls, path: str | Path) -> 'Thresholds':
        """Read ``thresholds.json``, given as the file or its folder.

        Raises:
            FileNotFoundError: no such file.
            ValueError: another kind of file, another ``on``, lists of different lengths.
        """
        path, fields = read_object(path, FILE_NAME, cls, 'mlrfnet calibrate', NEWER)
        if fields['on'] not in ON:
            raise ValueError(f'{path}: on must be one of {", ".join(ON)}, got {fields["on"]!r}')
        classes = tuple(fields['classes'])
        values = from_nulls(fields['thresholds'], len(classes), path, 'thresholds')
        origin = str(fields['stamp']), str(fields['checkpoint']), check_unit(path, fields['unit'])
        site = str(fields.get('site', ''))
        return cls(classes, fields['rule'], values, fields['on'], *origin, site)
