"""The options that several commands have, each defined once: name, value, meaning.

The documents have the table of all options of all commands, and a test compares it with the
parsers. Every command's module has ``make_parser(prog)``.
"""

from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    RawDescriptionHelpFormatter,
    _ActionsContainer,
)
from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def at_least(least: int) -> Callable[[str], int]:
    """Reader of a whole number that is not below ``least``."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f'must be a whole number, got {text!r}') from None
        if value < least:
            raise ArgumentTypeError(f'must be at least {least}, got {value}')
        return value

    return number


def difference(text: str) -> float:
    """Reader of a number between 0 and 1, neither of them."""
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f'must be a number, got {text!r}') from None
    if not 0 < value < 1:
        raise ArgumentTypeError(f'must be above 0 and below 1, got {text}')
    return value


SHARED: dict[str, dict[str, Any]] = {
    'config': dict(metavar='CONFIG', help='config file, or the name of one that is shipped'),
    'checkpoint': dict(
        metavar='CHECKPOINT',
        help='checkpoint file, or the folder of a training: its best, else its latest',
    ),
    '--config': dict(metavar='CONFIG', help='config of the model'),
    '--model': dict(
        metavar='MODEL',
        help='folder that mlrfnet export wrote, for predict in place of CHECKPOINT; serve and node '
        'take a checkpoint, too',
    ),
    'work_dir': dict(metavar='WORK_DIR', help='folder of a training'),
    'npz': dict(metavar='NPZ', help='predictions, what mlrfnet test --out wrote'),
    '--val': dict(
        metavar='NPZ',
        help='validation predictions of the same model: evaluate adds Table 7; ensemble, with one '
        'file per member in the same order, fits their weights',
    ),
    '--out': dict(metavar='NPZ', help='prediction file to write, ending in .npz'),
    '--out-dir': dict(metavar='DIR', help='folder of what is written'),
    '--work-dir': dict(metavar='DIR', help='folder of logs and checkpoints'),
    '--cfg-options': dict(
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings over those of the config, as model.head.lam="(0.5,0.3,0.3)"',
    ),
    '--on': dict(
        metavar='CONFIG',
        help='another config, a file or the name of one that is shipped: test takes its test data, '
        'over the findings that both data sets have, and so does localise; ablate puts every row '
        'over it',
    ),
    '--split': dict(metavar='NAME', help='split of the data, as val for calibrate'),
    '--amp': dict(
        action='store_true',
        help='mixed precision: float16 on a GPU, bfloat16 on CPUs with units for it',
    ),
    '--trust-checkpoint': dict(
        action='store_true',
        help='load a checkpoint whose pickle may run code (only from people you trust)',
    ),
    '--launcher': dict(
        choices=['none', 'pytorch', 'slurm'], default='none', help='what starts several processes'
    ),
    '--rule': dict(
        metavar='RULE',
        default='youden',
        help='how thresholds are chosen: youden, f1 or sensitivity=X',
    ),
    '--unit': dict(
        choices=['auto', 'image', 'study'],
        help='what scores are of: images, studies (maximum over their images), or auto: studies '
        'where the file has them',
    ),
    '--margin': dict(
        type=difference,
        metavar='DIFFERENCE',
        help='largest difference of two AUCs that does not matter, as 0.02: adds non-inferiority '
        'and equivalence of the first model to the second',
    ),
    '--replicates': dict(
        type=at_least(1), default=1000, metavar='N', help='draws of the bootstrap by patient'
    ),
    '--seed': dict(
        type=at_least(0),
        default=0,
        metavar='N',
        help='of what is drawn at random: the same seed, the same output',
    ),
    '--site': dict(metavar='NAME', help='site that the images are from, as mlrfnet adapt calls it'),
    '--ray': dict(
        nargs='?',
        const='',
        metavar='ADDRESS',
        help='work on a Ray cluster, of this address, or without a value on the one of '
        'RAY_ADDRESS, else on this machine',
    ),
    '--no-run': dict(action='store_true', help='run nothing; write from what is there'),
    '--method': dict(
        metavar='METHOD',
        help='how heat maps are made: score_maps (the weighted sum of the levels), score_maps1, '
        'score_maps2, … (one level), mrfc, mrfc1, … (the same), gradcam, gradcam++, layercam, '
        'hirescam, xgradcam, eigengradcam, eigencam',
    ),
    '--with-patient': dict(
        action='store_true',
        help='name patients: predict in JSON and reports, by what DICOM files say; failures on its '
        'pages, with the names of images',
    ),
    '--layer': dict(metavar='NAME', help='target layer of the Grad-CAM family, as backbone.layer3'),
    '--batch-size': dict(type=at_least(1), default=16, metavar='N', help='images at a time'),
    '--calibration': dict(metavar='JSON', help='what mlrfnet calibrate wrote, or its folder'),
    '--device': dict(metavar='DEVICE', help='where the model runs, as in torch: cpu, cuda'),
    '--data-root': dict(metavar='DIR', help="the data set's folder"),
    '--labels': dict(
        metavar='LABELS',
        help="label table: predict marks true findings by ChestX-ray14's; evaluate compares labels "
        'of another source, google2019 (of radiologists, for ChestX-ray14) or a table with a '
        'column image and one for each finding',
    ),
    '--size': dict(type=at_least(1), metavar='PIXELS', help='side of the images'),
    '--least-side': dict(
        type=at_least(1),
        default=64,
        metavar='PIXELS',
        help='least shorter side of an image that is read',
    ),
    '--most-aspect': dict(
        type=float,
        default=3,
        metavar='RATIO',
        help='greatest ratio of longer to shorter side of an image that is read',
    ),
    '--workers': dict(type=at_least(1), metavar='N', help='processes that work side by side'),
}


def new_parser(prog: str, description: str) -> ArgumentParser:
    """A parser without guessing: an option is called by its whole name."""
    parser = ArgumentParser(
        prog=prog,
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('--debug', action='store_true', help='show where an error comes from')
    return parser


def add(
    parser: _ActionsContainer, name: str, default: str | int | None = None, **more: Any
) -> None:
    """Add one of ``SHARED``.

    Args:
        parser: of the command, or a group in it.
        name: a key of ``SHARED``.
        default: the value where the option is not given, if not the shared one. A text in angle
            brackets is for the help alone: what the command then does.
        more: of :meth:`ArgumentParser.add_argument`, over what is shared.
    """
    option = {**SHARED[name], **more}
    if isinstance(default, str) and default.startswith('<'):
        shown: object = default.strip('<>')
    elif default is not None:
        shown = option['default'] = default
    else:
        shown = option.get('default')
    if shown not in (None, []):
        option['help'] += f' (default: {shown})'
    parser.add_argument(name, **option)


def add_runner_options(parser: ArgumentParser) -> None:
    """Add what OpenMMLab's train and test tools have in common but the config."""
    add(parser, '--work-dir', "<the config's, else work_dirs/CONFIG>")
    for name in ('--amp', '--trust-checkpoint', '--cfg-options', '--launcher'):
        add(parser, name)
    # torch.distributed.launch of older torch passes this
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        metavar='N',
        help='rank on this machine, set by older launchers (default: 0)',
    )
