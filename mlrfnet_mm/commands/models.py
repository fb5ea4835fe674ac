"""What predict, serve and node have in common: the model that predicts images."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from mlrfnet_mm.reports.predictions.writing.options import Inferencer
    from mlrfnet_mm.xrays.files import Limits

OF_A_CHECKPOINT = ('config', 'device')  # options that a bundle has no use for


def add_model_options(parser: ArgumentParser) -> None:
    """Add what says how the model is read, and which images it takes."""
    add(parser, '--config', "<the checkpoint's own, read as data>")
    add(parser, '--site', '<where the checkpoint was validated>')
    add(parser, '--least-side')
    add(parser, '--most-aspect')
    add(parser, '--device', '<a GPU if there is one>')
    add(parser, '--trust-checkpoint')


def load_model(
    args: Namespace, model: str, bundle: bool, limits: Limits, device: str | None = None
) -> Inferencer:
    """A bundle, or a checkpoint with the options of the command line that are for one.

    Args:
        args: with what :func:`add_model_options` reads.
        model: folder of the bundle, or the checkpoint.
        bundle: which of the two.
        limits: sizes of images that are predicted.
        device: in place of ``args.device``.

    Raises:
        ValueError: a bundle, and options that are for a checkpoint.
    """
    if bundle:
        from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer

        if given := [f'--{key}' for key in OF_A_CHECKPOINT if getattr(args, key)]:
            raise ValueError(f'{", ".join(given)}: of a checkpoint, and {model} is a bundle')
        return BundleInferencer(model, limits=limits, site=args.site or '')
    from mmengine.device import get_device

    from mlrfnet_mm.inference.inferencer import CXRInferencer

    return CXRInferencer(
        args.config,
        model,
        device or args.device or get_device(),
        trust=args.trust_checkpoint,
        limits=limits,
        site=args.site or '',
    )


def say_nothing_of_files(*packages: str) -> None:
    """Leave out what packages warn of: it may quote a file, and so a patient."""
    warnings.simplefilter('ignore')
    for name in packages:
        logging.getLogger(name).setLevel(logging.CRITICAL)
