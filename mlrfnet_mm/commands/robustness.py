"""AUC on images made worse: mlrfnet robustness CONFIG CHECKPOINT [--kinds noise blur …].

Noise, blur, JPEG, contrast, gamma, rotation, translation, border and resolution at five strengths
each. Writes a table, curves and a prediction file for each strength. An interrupted run goes on
with the same command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'config')
    add(parser, 'checkpoint')
    parser.add_argument(
        '--kinds', nargs='+', metavar='KIND', help='kinds of degradation (default: all nine)'
    )
    add(parser, '--split', "<the config's test split>")
    add(parser, '--out-dir', "<robustness in the checkpoint's folder>")
    add(parser, '--batch-size', 64)
    add(parser, '--workers', '<as many as mlrfnet test has>')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--device', '<a GPU if there is one>')
    add(parser, '--trust-checkpoint')
    add(parser, '--cfg-options')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet robustness') -> None:
    """Predict, measure, print, write."""
    args = make_parser(prog).parse_args(argv)
    try:
        run(args)
    except KeyboardInterrupt:
        sys.exit(f'{prog}: interrupted; the same command goes on from here')


def run(args: argparse.Namespace) -> None:
    """Load and work."""
    # Here, so that --help and a wrong option need not wait for torch.
    from mmengine.device import get_device

    from mlrfnet_mm.datasets.transforms.degradation import DEGRADATIONS
    from mlrfnet_mm.engine.cross_dataset import use_split
    from mlrfnet_mm.engine.launch import read_with_options
    from mlrfnet_mm.engine.machine import loader_defaults
    from mlrfnet_mm.inference.loaded_model import load_model
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.shift.robustness.cells import all_cells, predict_cells
    from mlrfnet_mm.reports.shift.robustness.figure import plot_robustness
    from mlrfnet_mm.reports.shift.robustness.tables import measure

    kinds = args.kinds or list(DEGRADATIONS)
    if unknown := [kind for kind in kinds if kind not in DEGRADATIONS]:
        raise ValueError(f'--kinds must be of {", ".join(DEGRADATIONS)}, got {unknown[0]!r}')
    cfg = read_with_options(args.config, args.cfg_options)
    if args.split:
        use_split(cfg, args.split)
    device = args.device or get_device()
    loaded = load_model(args.checkpoint, cfg, device, trust=args.trust_checkpoint)
    out = Path(args.out_dir or loaded.path.parent / 'robustness')
    cells = all_cells(kinds)
    workers = args.workers or loader_defaults()['num_workers']
    with ExitStack() as stack:

        def bar(images: int) -> Callable[[float], None]:
            return stack.enter_context(progress_bar('predict', images, 'images')).advance

        predict_cells(loaded, out, cells, args.batch_size, workers, bar)
    with progress_bar('bootstrap', len(cells), 'cells') as shown:
        found = measure(out, cells, loaded.stamp, args.replicates, args.seed, shown.advance)
    print(found.tables()[0].text())  # that of the findings is as wide as it has kinds
    for path in [*found.write(out), *plot_robustness(found, out / 'robustness')]:
        print(f'written     {path}')
