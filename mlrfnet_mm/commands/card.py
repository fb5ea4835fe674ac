"""A model card that fills itself from a training: mlrfnet card WORK_DIR [--out-dir DIR].

Writes model_card.md (Markdown with the front matter that Hugging Face's hub reads) and
model_card.json from what the folder has; what was not run is named with its command. Questions that
no run can answer are in card_answers.yaml, written once: answer there, and run the command again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'work_dir')
    add(parser, '--out-dir', '<the training folder>')
    add(parser, '--replicates')
    add(parser, '--seed')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet card') -> None:
    """Write the card and say where, and how much of the checklists it answers."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.reports.run_page.card.write import counts, write_card

    paths = write_card(args.work_dir, args.out_dir, args.replicates, args.seed)
    for path in paths:
        print(f'written     {path}')
    for line in counts(paths[1]):
        print(line)
