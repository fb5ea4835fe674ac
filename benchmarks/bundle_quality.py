"""Bundles against their checkpoint: python benchmarks/bundle_quality.py CHECKPOINT BUNDLE ….

``mlrfnet export`` compares on the images that int8 is calibrated with. Here it is others, those of
the test split by default, by the same limits. Prints a row for each bundle.
"""

import argparse
from datetime import date

from mlrfnet_mm.inference.bundle.bundle import Bundle
from mlrfnet_mm.inference.bundle.session import open_session
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.export.images import parity_images
from mlrfnet_mm.inference.export.parity import compare, eager_logits, graph_logits
from mlrfnet_mm.inference.loaded_model import load_model


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint')
    parser.add_argument('bundles', nargs='+')
    parser.add_argument('--split', default='test')
    return parser.parse_args()


def main() -> None:
    """Compare all, and print a Markdown table."""
    args = parse_args()
    loaded = load_model(args.checkpoint, None, 'cpu')
    images = parity_images(loaded, args.split)
    eager = eager_logits(loaded, images.gray)
    decisions = Decisions.next_to(loaded.path, loaded.classes, loaded.stamp['sha256'])
    print('| bundle | logits: largest, mean | decisions that differ | mean AUC | beyond limits |')
    print('|---|---:|---:|---:|---|', flush=True)
    for folder in args.bundles:
        bundle = Bundle.load(folder)
        if bundle.stamp['sha256'] != loaded.stamp['sha256']:
            raise SystemExit(f'{folder} is not of {loaded.path}')
        run = open_session(folder, bundle.runtime, bundle.precision)
        parity = compare(eager, graph_logits(run, images.gray), images, decisions)
        change, *ends = ('–' if x is None else f'{x:+.4f}' for x in parity.mean_auc)
        print(
            f'| {bundle.runtime} {bundle.precision} | {parity.logits[0]:.2g}, '
            f'{parity.logits[1]:.2g} | {parity.flips:,} of {parity.decisions:,} '
            f'| {change} ({" to ".join(ends)}) '
            f'| {"; ".join(parity.faults(bundle.precision)) or "none"} |',
            flush=True,
        )
    print(f'\n{loaded.path}: {len(images.gray):,} images, {images.stamp}, {date.today()}')


if __name__ == '__main__':
    main()
