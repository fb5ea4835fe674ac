"""Temperature and Platt scaling per class: scores made into probabilities.

p = sigmoid(scale · logit(score) + bias), fitted on validation. The biased focal loss gives absent
findings no gradient below 0.2 and so leaves their scores near there; a fitted scale and bias move
them to how often the finding is present. Neither changes the order of a class's scores (but for
ties), nor its AUC.

Platt, "Probabilistic outputs for support vector machines", 1999; Guo et al., "On calibration of
modern neural networks", ICML 2017, https://arxiv.org/abs/1706.04599 (there one temperature for a
softmax; here one per class, as each finding has its own sigmoid).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from mlrfnet_mm.evaluation.areas.auc import roc_auc
from mlrfnet_mm.evaluation.files.json_files import check_unit, from_nulls, read_object, to_nulls
from mlrfnet_mm.evaluation.files.whole_files import write_text

METHODS = ('platt', 'temperature')
ADAPTED = 'adapted'  # to another site, by mlrfnet adapt
FILE_NAME = 'calibration.json'
NEWER = ('site', 'prevalence')  # files from before these are read, too
# A float32 sigmoid ends at these: beyond them its logit would be infinite.
LEAST, MOST = float(np.finfo(np.float32).tiny), 1 - 2.0**-24
NARROW = 1e-3  # logits: a class whose scores differ by less tells nothing


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
        return expit(self.scale * logits(scores) + self.bias)

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
    return logit(np.clip(scores, LEAST, MOST))


def _within_precision(scores: np.ndarray) -> np.ndarray:
    """Scores with 0 and 1 moved halfway to the nearest that the class has otherwise.

    A half-precision sigmoid rounds to exactly 0 and 1: taken at their word, a single such positive
    would decide the fit.
    """
    scores = np.asarray(scores, float)
    inside = (scores > 0) & (scores < 1)
    low = np.min(scores, 0, initial=1, where=inside) / 2  # (K,)
    high = (1 + np.max(scores, 0, initial=0, where=inside)) / 2
    return np.where(inside.any(0), np.clip(scores, low, high), scores)


def fit_calibration(
    scores: np.ndarray, labels: np.ndarray, method: str = 'platt'
) -> tuple[np.ndarray, np.ndarray]:
    """Fit scale and bias of every class by maximum likelihood.

    Targets are Platt's, (m + 1) / (m + 2) for each of m positives and 1 / (n + 2) for each of n
    negatives, in place of 1 and 0: so the fit stays finite where the classes are separable, and
    rare findings are not fitted too steeply. A class whose scores run against its labels gets scale
    0, the best that does not turn its order round; so does one whose scores are all but equal
    (interquartile range of the logits below 1e-3).

    Args:
        scores: (N, K) in [0, 1].
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        method: ``'platt'`` (scale and bias) or ``'temperature'`` (scale only; 1 / temperature).

    Returns:
        (K,) scales and (K,) biases; NaN for a class whose known labels are all alike.
    """
    if method not in METHODS:
        raise ValueError(f'method must be one of {", ".join(METHODS)}, got {method!r}')
    values = logits(_within_precision(scores))
    scale, bias = np.full((2, labels.shape[1]), np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        known = ~np.isnan(labels[:, k])
        x, y = values[known, k], labels[known, k] == 1
        scale[k], bias[k] = _fit_class(x, y, method == 'platt')
    return scale, bias


def _fit_class(x: np.ndarray, positive: np.ndarray, with_bias: bool) -> tuple[float, float]:
    """Scale and bias of one class from logits (N,) and whether the finding is there (N,)."""
    m, n = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (m + 1) / (m + 2), 1 / (n + 2))
    flat = 0.0, float(logit(target.mean())) if with_bias else 0.0
    if np.subtract(*np.quantile(x, [0.75, 0.25])) < NARROW:
        return flat
    # A target t is a positive of weight t and a negative of weight 1 - t: what scikit-learn fits.
    # Newton's method, as logits that crowd in a narrow range are ill-conditioned for others.
    model = LogisticRegression(
        C=np.inf, fit_intercept=with_bias, solver='newton-cholesky', tol=1e-10, max_iter=1000
    )
    labels = np.repeat([True, False], len(x))
    weights = np.concatenate([target, 1 - target])
    model.fit(np.tile(x, 2)[:, None], labels, sample_weight=weights)
    if model.coef_[0, 0] >= 0:
        return float(model.coef_[0, 0]), float(model.intercept_[0]) if with_bias else 0.0
    return flat
