"""The command line: ``mlrfnet COMMAND …``, or ``python -m mlrfnet_mm COMMAND …``.

One module per command, imported when it is called; what computes is imported when the options are
read, so that ``--help`` does not wait for torch.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from traceback import extract_tb

from mlrfnet_mm import require_stack

COMMANDS = {
    'new': 'look at a table of your own and write a config that trains on it',
    'train': 'train a model',
    'test': 'test a checkpoint, on its own data or on other data',
    'evaluate': 'areas under curves with intervals, thresholds, two models compared',
    'compare': 'two models of several seeds or readers each',
    'ensemble': 'average the predictions of several models',
    'calibrate': 'calibration and thresholds from validation predictions',
    'adapt': 'calibration and thresholds for another site',
    'drift': 'what differs between two sets of predictions or images',
    'plot': 'ROC, precision-recall and reliability curves; loss over the epochs',
    'report': 'one page about a training',
    'card': 'a model card from a training, with checklists',
    'predict': 'predict image files, with heat maps and reports',
    'serve': 'a page to drop X-rays on, and an HTTP interface',
    'node': 'predict what comes into an archive, and send results back',
    'localise': 'score heat maps against boxes',
    'robustness': 'areas under curves on images made worse, at five strengths of nine kinds',
    'failures': 'the worst misses and false alarms of each finding, with heat maps',
    'ablate': 'train and test the rows of a table',
    'export': 'write a network that predicts without torch',
    'prepare': 'decode and shrink a data set once',
    'audit': 'look for faults in a data set: splits, images, labels',
    'phantom': 'write a synthetic data set to try training on',
    'label-graph': 'which findings occur together, for heads that use it',
    'complexity': 'parameters, multiply-adds and time per image',
}


def usage() -> str:
    """The list of commands."""
    lines = [f'  {name:12}{text}' for name, text in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: mlrfnet COMMAND [options]',
            '',
            *lines,
            '',
            'mlrfnet COMMAND --help: its options; --debug: where an error comes from',
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Call the command that the first word names."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ('-h', '--help'):
        print(usage())
        sys.exit(0 if words else 2)
    if words[0] == '--version':
        from mlrfnet_mm import __version__

        print(f'mlrfnet-mm {__version__}')
        return
    if words[0] not in COMMANDS:
        print(f'mlrfnet: no command {words[0]!r}\n\n{usage()}', file=sys.stderr)
        sys.exit(2)
    call(words[0], words[1:])


def call(name: str, argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Call a command; a user's mistake ends in one line, with exit code 2.

    Args:
        name: one of ``COMMANDS``.
        argv: its words; by default those of the process. ``--debug`` among them, of every command,
            shows where an error comes from.
        prog: how messages call it.

    An error that is not the user's keeps its traceback: it is to be reported.
    """
    # mmpretrain warns at every start that mmcv-lite has no compiled operators: none are used
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    words = list(sys.argv[1:] if argv is None else argv)
    prog = prog or f'mlrfnet {name}'
    try:
        module = import_module(f'{__name__}.{name.replace("-", "_")}')
        module.main([w for w in words if w != '--debug'], prog)
    except KeyboardInterrupt:
        sys.exit(f'{prog}: interrupted')
    except Exception as error:
        if '--debug' in words or not is_users(error):
            raise
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        plain = isinstance(error, ValueError | OSError | FloatingPointError)
        hint = '' if plain else ' (--debug shows where)'
        if isinstance(error, ModuleNotFoundError) and (why := what_is_missing(error)):
            text, hint = why, ''
        print(f'{prog}: {" ".join(str(text).split())}{hint}', file=sys.stderr)
        sys.exit(2)


def what_is_missing(error: ModuleNotFoundError) -> str:
    """What to install; empty if this project does not know."""
    if (error.name or '').split('.')[0] in ('scipy', 'sklearn'):
        return "statistics need scikit-learn and SciPy: pip install 'mlrfnet-mm[statistics]'"
    try:
        require_stack()
    except ImportError as why:
        return str(why)
    return ''


def is_users(error: Exception) -> bool:
    """Whether an error says what the user gave wrong, and not that the program is.

    What this project refuses is a ValueError, OSError or RuntimeError, a FloatingPointError for
    numbers that are not finite, or an ImportError for an extra that is not installed. What mmengine
    cannot build from a config is of any kind: a KeyError for a part that is not there, a TypeError
    for an argument that it does not take.
    """
    if isinstance(error, ValueError | OSError | RuntimeError | FloatingPointError | ImportError):
        return True
    calls = [(Path(call.filename).name, call.name) for call in extract_tb(error.__traceback__)]
    return ('build_functions.py', 'build_from_cfg') in calls or (
        ('build_functions.py', 'build_runner_from_cfg') in calls
    )
