"""How many labels a site needs: ``mlrfnet adapt`` by the number of labeled patients.

``python benchmarks/labels_needed.py VAL.npz OWN.npz SITE.npz … --figure STEM``

The patients of each site are halved at random. In one half n patients are labeled and the
calibration is updated; its probabilities are evaluated on the other half. Without labels: ``none``,
the calibration of VAL as it is; ``EM``, the prevalence of the greatest likelihood wherever there is
one; ``auto``, that where it passes the checks. OWN are test predictions of the data set that VAL is
of: from them a site is drawn for each finding by itself, where nothing but its prevalence differs,
as only 3 of 10 images with it are kept, or of those without it. Printed are means over the
findings, with the 2.5 and 97.5 % points over the draws of the halves; ECE has 15 bins of equal
count.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import log_loss

from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    brier_score,
    calibration_error,
    patient_counts,
)
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.evaluation.shift.known import AUTO, learn
from mlrfnet_mm.reports.output.drawing import COLORS, GRAY, save, subplots
from mlrfnet_mm.reports.scores.calibrate import fit
from mlrfnet_mm.reports.shift.adapt import updated

NUMBERS = (10, 25, 50, 100, 200, 350)
POSITIVES = (1, 3, 5, 10, 20, 40, 80, 10**6)
MEASURES = ('log loss', 'Brier', 'ECE')
KEPT = 0.3
FEW = 50


class Result(NamedTuple):
    """Of one finding in one draw."""

    update: str
    labeled: int  # patients
    positives: int  # the rarer of positive and negative patients among them
    draw: int
    values: tuple[float, ...]  # MEASURES
    gain: float  # of log loss, over the calibration as it was


def measures(p: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Of probabilities (N,) and labels (N,)."""
    loss = log_loss(y, np.clip(p, 1e-6, 1 - 1e-6), labels=[0, 1])
    columns = p[:, None], y[:, None]
    ece = calibration_error(*columns, strategy='quantile')[0]
    return float(loss), float(brier_score(*columns)[0]), float(ece)


def results(
    site: Predictions, val: Predictions, calibration: Calibration, draw: int
) -> Iterator[Result]:
    """All updates of one halving of a site's patients."""
    order = np.random.default_rng(draw).permutation(np.unique(site.patients))
    inside = np.isin(site.patients, order[: len(order) // 2])
    pool, rest = site.rows(inside), site.rows(~inside)
    prior = calibration.prevalence
    assert prior is not None
    known = learn(pool, calibration.apply(pool.scores), prior, val, 200, draw)
    maximum = known.prevalence.clip(1e-3, 1 - 1e-3)
    before = calibration.apply(rest.scores)
    both = [k for k, y in enumerate(rest.labels.T) if len(np.unique(y)) == 2]
    losses = {k: measures(before[:, k], rest.labels[:, k])[0] for k in both}
    for n in (0, *NUMBERS):
        if n > len(order) // 2:
            return
        there = np.isin(pool.patients, order[:n])
        labels = np.where(there[:, None], pool.labels, np.nan)
        counts = patient_counts(labels, pool.patients)
        here, labeled = (
            replace(pool, labels=labels),
            replace(known, positive=counts[0], negative=counts[1]),
        )
        for update in ('intercept', 'platt', AUTO) if n else ('none', 'EM', AUTO):
            prevalence = maximum if update == 'EM' else known.prevalence
            updates = [
                ('none' if np.isnan(maximum[k]) else 'prior')
                if update == 'EM'
                else labeled.update(k, update)
                for k in range(len(prior))
            ]
            p = updated(here, calibration, updates, prior, prevalence, 'site').apply(rest.scores)
            for k in both:
                values = measures(p[:, k], rest.labels[:, k])
                gain = losses[k] - values[0]
                yield Result(update, n, int(counts[:, k].min()), draw, values, gain)


def one(part: Predictions, k: int) -> Predictions:
    """One finding alone."""
    return replace(
        part,
        scores=part.scores[:, [k]],
        labels=part.labels[:, [k]],
        classes=part.classes[[k]],
        scored=None,
    )


def prevalence_sites(
    own: Predictions, val: Predictions, draw: int
) -> Iterator[tuple[Predictions, Predictions]]:
    """Site and validation of each finding by itself, more and less frequent than it was."""
    for k in range(len(own.classes)):
        for rarer in (0, 1):
            rng = np.random.default_rng([draw, k, rarer])
            kept = (own.labels[:, k] != rarer) | (rng.random(len(own.images)) < KEPT)
            yield one(own.rows(kept), k), one(val, k)


def summary(found: list[Result]) -> dict[tuple[str, int], np.ndarray]:
    """(Update, labeled patients) → (3, measures): mean over the draws, and two of their points."""
    groups: dict[tuple[str, int], dict[int, list]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        groups[row.update, row.labeled][row.draw].append(row.values)
    means = {
        key: np.array([np.mean(v, 0) for v in draws.values()]) for key, draws in groups.items()
    }
    return {
        key: np.stack([v.mean(0), *np.quantile(v, [0.025, 0.975], axis=0)])
        for key, v in means.items()
    }


def print_table(title: str, rows: dict[tuple[str, int], np.ndarray]) -> None:
    """Print a summary in Markdown."""
    print(f'\n{title}\n\n| labeled patients | update | {" | ".join(MEASURES)} |')
    print('|---|---|---|---|---|')
    for (update, n), values in rows.items():
        cells = [f'{m:.3f} ({low:.3f}–{high:.3f})' for m, low, high in values.T]
        print(f'| {n} | {update} | {" | ".join(cells)} |', flush=True)


def print_by_positives(title: str, found: list[Result]) -> None:
    """Print the gain in log loss over the calibration as it was, by number of positives."""
    print(f'\n{title}')
    print('\n| fewest of positive and negative patients | findings and draws |', end='')
    print(' gain of intercept (worse in) | gain of platt (worse in) |\n|---|---|---|---|')
    for low, high in pairwise(POSITIVES):
        cells, gains = [], np.empty(0)
        for update in ('intercept', 'platt'):
            gains = np.array([
                row.gain for row in found if row.update == update and low <= row.positives < high
            ])  # fmt: skip
            text = f'{gains.mean():.4f} ({(gains < 0).mean():.0%})' if len(gains) else '–'
            cells.append(text)
        end = f'–{high - 1}' if high < 10**6 else ' and more'
        print(f'| {low}{end} | {len(gains):,} | {" | ".join(cells)} |')


def draw_figure(tables: dict[str, dict[tuple[str, int], np.ndarray]], stem: Path) -> None:
    """Log loss by number of labeled patients, one square per site."""
    figure, axes = subplots(1, len(tables), figsize=(2.7 * len(tables), 3), squeeze=False)
    for place, (title, rows) in zip(axes[0], tables.items(), strict=True):
        for update, color in zip(('intercept', 'platt', AUTO), COLORS, strict=False):
            points = sorted((n, v[:, 0]) for (name, n), v in rows.items() if name == update and n)
            x, (mean, low, high) = [n for n, _ in points], np.array([v for _, v in points]).T
            place.plot(x, mean, color=color, marker='o', markersize=3, label=update)
            place.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
        for update, dashes in (('none', '-'), (AUTO, ':')):
            label = f'{update}, no labels'
            place.axhline(rows[update, 0][0, 0], color=GRAY, linestyle=dashes, label=label)
        place.set(xscale='log', title=title, xlabel='labeled patients')
        place.set_xticks(x, map(str, x))
        place.minorticks_off()
        place.grid(alpha=0.3)
    axes[0, 0].set_ylabel('log loss, mean over the findings')
    axes[0, -1].legend(fontsize=7)
    save(figure, stem, dpi=90)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('val')
    parser.add_argument('own')
    parser.add_argument('sites', nargs='+')
    parser.add_argument('--draws', type=int, default=20)
    parser.add_argument('--figure', type=Path)
    args = parser.parse_args()
    val, own = load_predictions(args.val), load_predictions(args.own)
    sites = {'no shift': own, **{Path(path).stem: load_predictions(path) for path in args.sites}}
    calibration = fit(val)[0]
    assert calibration is not None
    found: dict[str, list[Result]] = {'one finding at a time': []}
    for draw in range(args.draws):
        for site, source in prevalence_sites(own, val, draw):
            single = fit(source)[0]
            assert single is not None
            # with more than FEW some of these sites would be missing, and the means another's
            rows = results(site, source, single, draw)
            found['one finding at a time'] += [row for row in rows if row.labeled <= FEW]
        for name, site in sites.items():
            found.setdefault(name, []).extend(results(site, val, calibration, draw))
    tables = {name: summary(rows) for name, rows in found.items()}
    for name, table in tables.items():
        print_table(name, table)
    print_by_positives('no shift', found['no shift'])
    others = [row for name, rows in found.items() if name != 'no shift' for row in rows]
    print_by_positives('all sites with a shift', others)
    if args.figure:
        draw_figure(tables, args.figure)


if __name__ == '__main__':
    main()
