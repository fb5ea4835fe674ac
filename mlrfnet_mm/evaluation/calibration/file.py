"""What ``calibration.json`` holds, and probabilities by it; numpy is all that this needs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation.files.json_files import check_unit, from_nulls, read_object, to_nulls
from mlrfnet_mm.evaluation.files.whole_files import write_text

METHODS = ('platt', 'temperature')
ADAPTED = 'adapted'  # to another site, by mlrfnet adapt
FILE_NAME = 'calibration.json'
NEWER = ('site', 'prevalence')  # files from before these are read, too
# A float32 sigmoid ends at these: beyond them its logit would be infinite.
LEAST, MOST = float(np.finfo(np.float32).tiny), 1 - 2.0**-24


@dataclass(frozen=True)
class Calibration:
    """What ``calibration.json`` holds, next to a checkpoint.

    Attributes:
        classes: K names of the findings, in the order of the scores.
        method: ``'platt'``, ``'temperature'`` (bias 0), or ``'adapted'`` (to another site).
        scale: (K,) at least 0; NaN for a class that validation had one label value of: its
            probability is not known.
        bias: (K,); NaN where the scale is.
        stamp: of the validation predictions, as ``'ChestX-ray14 official/val'``.
        checkpoint: digest of the checkpoint that made them; ``''`` if not recorded.
        unit: what it was fitted on, ``'image'`` or ``'study'`` (the maximum over its images).
        site: name of the site that it is for; ``''``: where the checkpoint was validated.
        prevalence: (K,) share of the images with the finding that the probabilities are right for;
            None: not recorded.
    """

    classes: tuple[str, ...]
    method: str
    scale: np.ndarray
    bias: np.ndarray
    stamp: str
    checkpoint: str = ''
    unit: str = 'image'
    site: str = ''
    prevalence: np.ndarray | None = None

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities, float64, of scores in [0, 1], both (…, K); NaN where not fitted.

        Raises:
            ValueError: another number of classes, a score outside [0, 1].
        """
        if np.shape(scores)[-1:] != (len(self.classes),):
            raise ValueError(
                f'calibration is for {len(self.classes)} classes, the scores are of shape '
                f'{np.shape(scores)}'
            )
        return sigmoid(self.scale * logits(scores) + self.bias)

    def save(self, folder: str | Path) -> Path:
        """Write ``calibration.json`` into the folder; NaN becomes null; None is left out."""
        fields = asdict(self) | dict(scale=to_nulls(self.scale), bias=to_nulls(self.bias))
        if self.prevalence is not None:
            fields['prevalence'] = to_nulls(self.prevalence)
        fields = {key: value for key, value in fields.items() if key not in NEWER or value}
        path = Path(folder) / FILE_NAME
        write_text(path, json.dumps(fields, indent=2, allow_nan=False) + '\n')
        return path

    @classmethod
    def load(cls, path: str | Path) -> 'Calibration':
        """Read ``calibration.json``, given as the file or its folder.

        Raises:
            FileNotFoundError: no such file.
            ValueError: another kind of file, an unknown method, lists of different lengths, a
                scale that is negative or without its bias.
        """
        path, fields = read_object(path, FILE_NAME, cls, 'mlrfnet calibrate', NEWER)
        classes = tuple(fields['classes'])
        scale, bias = (
            from_nulls(fields[key], len(classes), path, key) for key in ('scale', 'bias')
        )
        if fields['method'] not in (*METHODS, ADAPTED):
            raise ValueError(
                f'{path}: method must be one of {", ".join((*METHODS, ADAPTED))}, got '
                f'{fields["method"]!r}'
            )
        wrong = (scale < 0) | (np.isnan(scale) != np.isnan(bias))
        if wrong.any():
            k = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f'{path}: {classes[k]!r} has scale {scale[k]} and bias {bias[k]}; the scale is at '
                'least 0, and either both are null or neither'
            )
        origin = str(fields['stamp']), str(fields['checkpoint']), check_unit(path, fields['unit'])
        prevalence = fields.get('prevalence')
        if prevalence is not None:
            prevalence = from_nulls(prevalence, len(classes), path, 'prevalence')
            if ((prevalence < 0) | (prevalence > 1)).any():
                raise ValueError(f'{path}: a prevalence lies in [0, 1], got {prevalence.tolist()}')
        site = str(fields.get('site', ''))
        return cls(classes, fields['method'], scale, bias, *origin, site, prevalence)


def logits(scores: np.ndarray) -> np.ndarray:
    """Logits, float64 and finite, of scores in [0, 1].

    Raises:
        ValueError: a score outside [0, 1], or NaN.
    """
    scores = np.asarray(scores, float)
    wrong = ~((scores >= 0) & (scores <= 1))
    if wrong.any():
        raise ValueError(f'scores to calibrate lie in [0, 1], found {scores[wrong][0]}')
    scores = np.clip(scores, LEAST, MOST)
    return np.log(scores) - np.log1p(-scores)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Scores, float64, of logits: scipy's ``expit``, without half a second to import scipy."""
    with np.errstate(invalid='ignore'):  # NaN, where a class was not fitted, stays NaN
        return np.exp(-np.logaddexp(0, -np.asarray(values, float)))
