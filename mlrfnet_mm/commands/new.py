"""A config for X-rays of your own: mlrfnet new FOLDER --table labels.csv, then mlrfnet train.

Looks at the table, CSV or Parquet, one row per image: which column has the files, the patients, the
findings (1, 0, -1 for uncertain, blank for unknown) and the splits, if any. Asks nothing.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    parser.add_argument('folder', metavar='FOLDER', help='folder that the config is written into')
    parser.add_argument('--table', required=True, metavar='FILE', help='the table, CSV or Parquet')
    add(parser, '--data-root', "<the table's folder or one in it, whichever has its images>")
    parser.add_argument(
        '--image', metavar='COLUMN', help='column of the image files (default: by its name)'
    )
    parser.add_argument(
        '--patient', metavar='COLUMN', help='column of the patients (default: by its name)'
    )
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet new') -> None:
    """Look, write, say what comes next."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.datasets.table_xrays.look import look
    from mlrfnet_mm.datasets.table_xrays.new_config import config_text
    from mlrfnet_mm.engine.machine import fitting_batch
    from mlrfnet_mm.evaluation.files.whole_files import write_text

    folder = Path(args.folder)
    out = folder / f'{re.sub(r"[^A-Za-z0-9]+", "_", folder.resolve().name).strip("_") or "own"}.py'
    if out.exists():
        raise FileExistsError(f'{out} is there already: remove it, or give another folder')
    root = Path(args.data_root) if args.data_root else None
    found = look(Path(args.table), root, args.image, args.patient)
    text = config_text(found, fitting_batch(len(found.parts['train'])), str(out))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(out, text)
    for miss in found.misses:
        print(f'left out    {miss}')
    print(f'config      {out}')
    print(f'next        mlrfnet train {out}')
