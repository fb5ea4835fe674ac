"""Options that several commands have in common."""

from argparse import ArgumentParser


def add_common_arguments(parser: ArgumentParser) -> None:
    """Add the options that OpenMMLab's train and test tools have in common."""
    parser.add_argument('config', help='config file, or the name of one that is shipped')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument('--amp', action='store_true', help='mixed precision; needs a GPU')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint whose pickle may run code (only from people you trust)',
    )
    add_cfg_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    # torch.distributed.launch of older torch passes this
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add ``--cfg-options``, a list of ``KEY=VALUE``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings over those of the config, as model.head.lam="(0.5,0.3,0.3)"',
    )
