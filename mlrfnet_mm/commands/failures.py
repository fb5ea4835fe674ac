"""The worst errors of each finding: mlrfnet failures CHECKPOINT [NPZ].

Writes one page per finding with its worst false negatives and false positives at the threshold of
thresholds.json: image, heat map, box where one is known, labels, scores, sex, age and view. The
pages name no patient and no file; failures.csv has the names of the images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from mlrfnet_mm.commands.options import add, at_least, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'checkpoint')
    add(parser, '--config', "<that of the training's folder, else the checkpoint's own>")
    add(parser, 'npz', "<predictions.npz in the checkpoint's folder>", nargs='?')
    add(parser, '--split', "<the config's test split>")
    parser.add_argument(
        '--errors',
        type=at_least(1),
        default=6,
        metavar='N',
        help='false negatives and false positives that are shown of each finding (default: 6)',
    )
    add(parser, '--method', '<score_maps where the head has them, gradcam elsewhere>')
    add(parser, '--layer', "<the backbone's last>")
    add(parser, '--with-patient')
    add(parser, '--out-dir', "<failures in the checkpoint's folder>")
    add(parser, '--batch-size')
    add(parser, '--device', '<a GPU if there is one>')
    add(parser, '--trust-checkpoint')
    add(parser, '--cfg-options')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet failures') -> None:
    """Find, draw, write."""
    args = make_parser(prog).parse_args(argv)
    # Here, so that --help and a wrong option need not wait for torch.
    from mmengine.device import get_device

    from mlrfnet_mm.engine.cross_dataset import use_split
    from mlrfnet_mm.engine.launch import read_with_options
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.inference.loaded_model import load_model
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.predictions.failures.images import find_images
    from mlrfnet_mm.reports.predictions.failures.pages import Settings, write_failures

    folder = Path(args.checkpoint)
    if not folder.exists():
        raise FileNotFoundError(f'no checkpoint file or folder {folder.absolute()}')
    folder = folder if folder.is_dir() else folder.parent
    predictions = load_predictions(args.npz or folder / 'predictions.npz')
    checkpoint = checkpoint_of(args.checkpoint, predictions.checkpoint)
    device = args.device or get_device()
    config = args.config or config_of(folder)
    if args.cfg_options and not config:
        raise ValueError(
            f'--cfg-options are for a config file, and {folder} has none: add --config'
        )
    # read here, so that the checkpoint says the training's name
    cfg = read_with_options(config, args.cfg_options) if config else None
    loaded = load_model(checkpoint, cfg, device, trust=args.trust_checkpoint)
    if args.split:
        use_split(loaded.cfg, args.split)
    settings = Settings(
        args.errors, args.method, args.layer, args.with_patient, batch_size=args.batch_size
    )
    out = Path(args.out_dir or folder / 'failures')
    with ExitStack() as stack:

        def bar(cases: int) -> Callable[[float], None]:
            return stack.enter_context(progress_bar('failures', cases, 'cases')).advance

        tested = find_images(loaded.cfg, predictions)
        written = write_failures(loaded, predictions, tested, out, settings, bar)
    for path in written[:3]:
        print(f'written     {path}')
    print(f'written     {len(written) - 3} pages of findings in {out}')


def checkpoint_of(given: str, digest: str) -> str:
    """The checkpoint file that predictions are of.

    Args:
        given: a file, or the folder of a training.
        digest: that the predictions name; ``''``: not recorded.

    Raises:
        FileNotFoundError: no checkpoint.
        ValueError: it is not the one that made the predictions, and neither is any in the folder.
    """
    from mlrfnet_mm.engine.checkpoint import resolve_checkpoint
    from mlrfnet_mm.evaluation.files.digest import checkpoint_digest

    best = resolve_checkpoint(given)
    if not digest or checkpoint_digest(best) == digest:
        return best
    files = sorted(Path(given).glob('*.pth')) if Path(given).is_dir() else []
    found = {checkpoint_digest(path): str(path) for path in files}
    if digest not in found:
        raise ValueError(
            f'the predictions are of a checkpoint of SHA-256 {digest}…, {best} is another '
            f'({checkpoint_digest(best)}…): make them again with mlrfnet test, or give that file'
        )
    return found[digest]


def config_of(folder: Path) -> str | None:
    """The config of the training in a folder; None where there is none."""
    from mlrfnet_mm.reports.run_page.finished_run import read_run

    file = read_run(folder).config_file
    return str(file) if file else None
