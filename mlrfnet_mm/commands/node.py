"""Predict what comes into an archive: mlrfnet node --model MODEL (--orthanc URL | --listen …).

With --orthanc the node polls an Orthanc; with --listen it takes C-STORE and sends results to the
peer of --send. Frontal CR and DX images get a structured report and a secondary capture, as new
series of their study; all else is noted and left. Research use, not for diagnosis.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import threading
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.models import add_model_options, load_model, say_nothing_of_files
from mlrfnet_mm.commands.options import add, at_least, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.node.journal import Journal
    from mlrfnet_mm.node.predictor import Predictor

PACKAGES = ('pydicom', 'highdicom', 'pynetdicom', 'requests')
USER, PASSWORD = 'ORTHANC_USER', 'ORTHANC_PASSWORD'


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, '--model', required=True)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        '--orthanc', metavar='URL',
        help=f'Orthanc to poll, as http://127.0.0.1:8042; {USER} and {PASSWORD} are for its user',
    )  # fmt: skip
    where.add_argument(
        '--listen', metavar='AET:PORT',
        help='title and port that take C-STORE, for this machine alone; as AET@HOST:PORT on the '
        'address of a host, as AET@0.0.0.0:PORT for all',
    )  # fmt: skip
    parser.add_argument(
        '--send', metavar='AET@HOST:PORT', help='peer that results go to, with --listen'
    )
    parser.add_argument(
        '--state', metavar='DIR', default='mlrfnet_node',
        help='folder of what was done and what waits; one per node (default: mlrfnet_node)',
    )  # fmt: skip
    parser.add_argument(
        '--once', action='store_true', help='end when nothing waits; with --listen take nothing new'
    )
    parser.add_argument(
        '--waiting', type=at_least(1), default=1000, metavar='N',
        help='most images that --listen keeps; others are refused (default: 1000)',
    )  # fmt: skip
    for name, text in (
        ('--tls-cert', "the node's certificate, for --listen; shown to others, too"),
        ('--tls-key', "the certificate's key"),
        ('--tls-ca', 'certificates that others are checked with: Orthanc, the peer of --send, '
                     'which then is called by TLS, and who sends to --listen'),
    ):  # fmt: skip
        parser.add_argument(name, metavar='PEM', help=text)
    add_model_options(parser)
    return parser


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    if bool(args.listen) != bool(args.send):
        parser.error('--listen and --send go together')
    if bool(args.tls_cert) != bool(args.tls_key):
        parser.error('--tls-cert and --tls-key go together')
    for name in ('tls_cert', 'tls_key', 'tls_ca'):
        if (path := getattr(args, name)) and not Path(path).is_file():
            parser.error(f'--{name.replace("_", "-")}: no file {path}')
    return args


def make_predictor(args: argparse.Namespace) -> Predictor:
    """The model that the command line names."""
    from mlrfnet_mm.inference.bundle.bundle import is_bundle
    from mlrfnet_mm.node.predictor import Predictor
    from mlrfnet_mm.xrays.files import Limits

    limits = Limits(args.least_side, args.most_aspect)
    return Predictor(load_model(args, args.model, is_bundle(args.model), limits))


def run(
    args: argparse.Namespace, predictor: Predictor, journal: Journal, stop: threading.Event
) -> None:
    """Work with Orthanc, or listen, until stopped."""
    from mlrfnet_mm.node.listen import Address, Certificates, Inbox, Sender, listening, work_off
    from mlrfnet_mm.node.orthanc import Orthanc, run_orthanc
    from mlrfnet_mm.node.worker import Worker

    own = (args.tls_cert, args.tls_key) if args.tls_cert else None
    say = partial(print, flush=True)
    if args.orthanc:
        user = (os.environ[USER], os.environ.get(PASSWORD, '')) if os.environ.get(USER) else None
        archive = Orthanc(args.orthanc, user, args.tls_ca, own)
        run_orthanc(archive, Worker(predictor, journal, archive, say), args.once, stop)
        return
    address, tls = Address.parse(args.listen, '127.0.0.1'), Certificates(own, args.tls_ca)
    sender = Sender(Address.parse(args.send), address.title, tls.sending())
    worker = Worker(predictor, journal, sender, say)
    inbox = Inbox(Path(args.state) / 'waiting', args.waiting)
    if args.once:
        work_off(inbox, worker, True, stop)
        return
    with listening(address, inbox, worker, tls.listening()):
        say(f'listening   {address.title} on {address.host} port {address.port}')
        work_off(inbox, worker, False, stop)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet node') -> None:
    """Load the network, then work until stopped; say what came of it."""
    args = parse_args(argv, prog)
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ImportError(f"a node needs {', '.join(missing)}: pip install 'mlrfnet-mm[node]'")
    from mlrfnet_mm.node.journal import Journal

    say_nothing_of_files('pydicom', 'pynetdicom', 'highdicom', 'urllib3')
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    predictor = make_predictor(args)
    print(f'model       {predictor.inferencer.stamp.get("model", "")} {predictor.digest}')
    print(predictor.inferencer.stamp['notice'], flush=True)
    journal = Journal(args.state)
    try:
        run(args, predictor, journal, stop)
        for outcome, count in journal.outcomes().items():
            print(f'{count:>9}   {outcome}')
    except sqlite3.Error as error:
        raise OSError(f'{args.state}: {error}') from error
    finally:
        journal.close()
