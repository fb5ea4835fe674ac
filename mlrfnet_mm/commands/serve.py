"""A page to drop X-rays on: mlrfnet serve --model BUNDLE_OR_CHECKPOINT [--port 8000].

And the same as an HTTP interface (/openapi.json). For this machine alone; --host with a token opens
it to others. Uploads stay in memory. Research use, not for diagnosis.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec

from mlrfnet_mm.commands.models import add_model_options, load_model, say_nothing_of_files
from mlrfnet_mm.commands.options import add, at_least, new_parser

PACKAGES = ('fastapi', 'uvicorn', 'python_multipart', 'prometheus_client')
VARIABLE = 'MLRFNET_TOKEN'
LEAST_TOKEN = 16  # characters
LOOPBACK = ('127.0.0.1', 'localhost', '::1')
CONNECTIONS = 256  # at a time; further ones get 503


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, '--model', required=True)
    parser.add_argument(
        '--host', default='127.0.0.1', metavar='ADDRESS',
        help='address to listen on; other machines reach one only with --token '
        '(default: 127.0.0.1)',
    )  # fmt: skip
    parser.add_argument(
        '--port', type=at_least(0), default=8000, metavar='N',
        help='port to listen on; 0: one that is free (default: 8000)',
    )  # fmt: skip
    parser.add_argument(
        '--token', metavar='TEXT',
        help=f'secret that requests must send; better set {VARIABLE}, as others see the words of '
        f'a command (default: {VARIABLE}, if set)',
    )  # fmt: skip
    parser.add_argument(
        '--queue', type=at_least(1), default=16, metavar='N',
        help='requests at a time, received, waiting or worked on; others get 429 (default: 16)',
    )  # fmt: skip
    parser.add_argument(
        '--megabytes', type=at_least(1), default=64, metavar='N',
        help='greatest size of all files of a request (default: 64)',
    )  # fmt: skip
    parser.add_argument(
        '--files', type=at_least(1), default=8, metavar='N',
        help='most files of a request (default: 8)',
    )  # fmt: skip
    parser.add_argument(
        '--seconds', type=at_least(1), default=60, metavar='N',
        help='longest time to send a request in (default: 60)',
    )  # fmt: skip
    parser.add_argument(
        '--megapixels', type=at_least(1), default=40, metavar='N',
        help='most pixels of an image, in millions, by its header, before it is decoded '
        '(default: 40)',
    )  # fmt: skip
    add_model_options(parser)
    return parser


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    args.token = args.token if args.token is not None else os.environ.get(VARIABLE, '')
    if args.host not in LOOPBACK and not args.token:
        parser.error(f'--host {args.host}: others could ask; give --token or {VARIABLE}, too')
    if args.token and (len(args.token) < LEAST_TOKEN or not args.token.isascii()):
        parser.error(
            f'the token has {len(args.token)} characters; give at least {LEAST_TOKEN}, all of '
            'ASCII, as openssl rand -hex 16 prints'
        )
    return args


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that what is wrong with the address is said at once."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OverflowError:
        raise ValueError(f'--port {port}: a port is 65535 at most') from None
    except OSError as error:
        raise OSError(f'cannot listen on {host} port {port}: {error.strerror or error}') from error


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet serve') -> None:
    """Load the network, say where the page is, and answer until stopped."""
    args = parse_args(argv, prog)
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ImportError(f"a server needs {', '.join(missing)}: pip install 'mlrfnet-mm[serve]'")
    import uvicorn

    from mlrfnet_mm.inference.bundle.bundle import is_bundle
    from mlrfnet_mm.serving.app import Settings, make_app
    from mlrfnet_mm.serving.uploads import Limits
    from mlrfnet_mm.xrays.files import Limits as ImageLimits

    taken = ImageLimits(args.least_side, args.most_aspect, args.megapixels)
    inferencer = load_model(args, args.model, is_bundle(args.model), taken)
    limits = Limits(args.megabytes, args.files, args.seconds)
    app = make_app(inferencer, Settings(args.token, args.queue, limits))
    with listen(args.host, args.port) as open_socket:
        host = f'[{args.host}]' if ':' in args.host else args.host
        print(f'page        http://{host}:{open_socket.getsockname()[1]}/')
        print(inferencer.stamp['notice'], flush=True)
        config = uvicorn.Config(
            app, log_level='error', access_log=False, server_header=False, ws='none',
            limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=10,
        )  # fmt: skip
        say_nothing_of_files('pydicom', 'PIL', 'python_multipart')
        logging.getLogger('mlrfnet_mm').setLevel(logging.ERROR)
        with suppress(KeyboardInterrupt):  # how a server is stopped; asyncio may swallow it
            uvicorn.Server(config).run(sockets=[open_socket])
        print('stopped')
