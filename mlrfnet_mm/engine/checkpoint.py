"""Checkpoint files: found, told apart, opened without running code, and finite."""

import os
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process

FORCE_ON = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
FORCE_OFF = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
SAVED = re.compile(r'(?:epoch|iter)_(\d+)\.pth')


@contextmanager
def torch_load_mode(weights_only: bool) -> Iterator[None]:
    """Decide, for the calls within, whether ``torch.load`` may run what a pickle calls.

    torch reads these two variables at each call. The first wins over the caller's argument (the
    onedl fork of mmengine falls back to ``weights_only=False``); the second is for callers that
    pass none (upstream).
    """
    saved = {name: os.environ.pop(name, None) for name in (FORCE_ON, FORCE_OFF)}
    os.environ[FORCE_ON if weights_only else FORCE_OFF] = '1'
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def check_plain(path: str) -> None:
    """Refuse a checkpoint file that needs more than torch's own list of harmless types.

    Only structure is read, no tensor. The check is a separate one, as the onedl fork loads with a
    list of its own, which has ``getattr`` on it.

    Raises:
        RuntimeError: the file needs more, or is not a checkpoint.
    """
    try:
        with torch_load_mode(weights_only=True), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of pickle protocols
            torch.load(path, map_location='meta', weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError, OSError) as error:
        # torch's own text recommends switching the protection off: only its reason is passed on
        lines = [line.strip() for line in re.split(r'[\n:]', str(error))]
        words = re.compile('global|operand|function|class|block', re.IGNORECASE)
        told = [line for line in lines if len(line.split()) > 1 and words.search(line)]
        with open(path, 'rb') as file:
            a_pickle = file.read(2) in (b'PK', b'\x80\x02', b'\x80\x03', b'\x80\x04', b'\x80\x05')
        if not (a_pickle and told and isinstance(error, pickle.UnpicklingError)):
            # before 2.6 the recommendation stands before the reason, since then behind it
            text = str(error).split('WeightsUnpickler error: ')[-1]
            reason = f'{type(error).__name__}: {text}'.partition('\n')[0]
            reason = reason.partition('. In PyTorch')[0]
            raise RuntimeError(f'{path} is damaged or not a torch checkpoint: {reason}') from None
        raise RuntimeError(
            f'{path} holds more than weights and plain values, and was not loaded, as such a file '
            'can run code. If it is an older checkpoint and you trust who made it, pass '
            f'--trust-checkpoint (config: trust_checkpoint=True). What it asks for: {told[-1]}'
        ) from None


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Return the latest checkpoint of a training in a folder, or None.

    ``last_checkpoint`` names it; a kill can leave that file empty or one checkpoint behind, and
    then the highest epoch or iteration counts.
    """
    folder = Path(work_dir)
    name = folder / 'last_checkpoint'
    if name.is_file() and (path := name.read_text().strip()):
        return path
    files = [(int(m[1]), p) for p in folder.glob('*.pth') if (m := SAVED.fullmatch(p.name))]
    return str(max(files)[1]) if files else None


def local_file(path: str) -> str:
    """Download a checkpoint at a web address, once; a path stays as it is.

    So that it can be checked before it is loaded.

    Raises:
        ValueError: an address of another kind.
    """
    if '://' not in path:
        return path
    if not path.startswith(('http://', 'https://')):
        raise ValueError(
            f'a checkpoint is a file or an http(s) address, got {path}: download it, or trust it '
            '(--trust-checkpoint)'
        )
    cached = Path(torch.hub.get_dir(), 'checkpoints', Path(urlparse(path).path).name)
    if not cached.is_file():
        if is_main_process():
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(path, str(cached), progress=False)
        barrier()
    return str(cached)


def resolve_checkpoint(path: str) -> str:
    """Return the file itself, or for a work directory its best checkpoint, else its latest.

    Raises:
        FileNotFoundError: neither is there.
    """
    folder = Path(path)
    if not folder.is_dir():
        if '://' not in path and not folder.is_file():
            raise FileNotFoundError(f'no checkpoint {folder.absolute()}')
        return path
    best = sorted(folder.glob('best_*.pth'), key=lambda p: p.stat().st_mtime)
    latest = str(best[-1]) if best else latest_checkpoint(folder)
    if latest is None:
        raise FileNotFoundError(f'no best_*.pth and no last_checkpoint in {folder.absolute()}')
    return latest


def not_finite(state: Mapping[str, Any]) -> str | None:
    """Name of the first tensor with a NaN or an infinity; None where there is none."""
    floats = (
        (name, x) for name, x in state.items() if torch.is_tensor(x) and x.is_floating_point()
    )
    return next((name for name, x in floats if not x.isfinite().all()), None)


def not_finite_weights(checkpoint: Mapping[str, Any]) -> str | None:
    """Such a tensor of a checkpoint's weights, or of the average or the weights next to them."""
    states = [checkpoint.get('state_dict', checkpoint), checkpoint.get('ema_state_dict', {})]
    return next((name for state in states if (name := not_finite(state)) is not None), None)
