"""Write phantoms of a site with other prevalence, other contrast, or both.

``python benchmarks/other_site.py data/site`` writes three folders there, in ChestX-ray14's layout,
with all patients in the test list: ``prevalence``, ``contrast`` and ``both``. Healthy images are
more frequent than in the phantom, findings alternately more and less frequent among the others, and
gray levels are drawn in toward the middle.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from mlrfnet_mm.datasets.phantom import patients as phantom
from mlrfnet_mm.datasets.phantom import write_phantom
from mlrfnet_mm.xrays.gray import read_gray

HEALTHY = 0.55  # in place of 0.29
FACTORS = (2.0, 0.4)  # of the weights of findings, in turn
CONTRAST = 0.75  # of the distance from the middle gray level


@contextmanager
def other_prevalence() -> Iterator[None]:
    """Draw patients with other frequencies; only in this process."""
    healthy, weights = phantom.HEALTHY, dict(phantom.WEIGHTS)
    phantom.draw_patient.cache_clear()
    phantom.HEALTHY = HEALTHY
    for i, name in enumerate(phantom.CLASSES):
        phantom.WEIGHTS[name] *= FACTORS[i % len(FACTORS)]
    try:
        yield
    finally:
        phantom.HEALTHY = healthy
        phantom.WEIGHTS.update(weights)
        phantom.draw_patient.cache_clear()


def lower_contrast(folder: Path) -> None:
    """Draw the gray levels of all images toward the middle."""
    for path in sorted(folder.glob('images/*.png')):
        levels = 127.5 + CONTRAST * (read_gray(path).astype(float) - 127.5)
        cv2.imwrite(str(path), levels.round().astype(np.uint8))


def main() -> None:
    """Write three sites."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--patients', type=int, default=700)
    parser.add_argument('--seed', type=int, default=1, help="not the training phantom's")
    args = parser.parse_args()
    for name in ('prevalence', 'contrast', 'both'):
        out = args.folder / name
        options = dict(patients=args.patients, seed=args.seed, workers=1)
        if name == 'contrast':
            summary = write_phantom(out, **options)
        else:
            with other_prevalence():
                summary = write_phantom(out, **options)
        if not summary.written:
            raise SystemExit(f'{out} is there already: remove it, or name another folder')
        if name != 'prevalence':
            lower_contrast(out)
        names = ''.join(sorted(f'{path.name}\n' for path in out.glob('images/*.png')))
        (out / 'test_list.txt').write_text(names)
        (out / 'train_val_list.txt').write_text('')
        print(f'{out}: {summary.images:,} images of {summary.patients:,} patients')


if __name__ == '__main__':
    main()
