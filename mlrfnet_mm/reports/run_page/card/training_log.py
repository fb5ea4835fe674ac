"""How a model was trained, as its logs, its records and its checkpoint say."""

import json
import pickle
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from mlrfnet_mm.engine.checkpoint import check_plain, torch_load_mode

TIME = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ')
# of mmengine's description of the machine at the start of a log, and this project's line
LINES = {
    'machine': re.compile(r' - INFO - Machine: (.+?)\. Data loaders'),
    'GPU': re.compile(r'^ +GPU [\d,]+: (.+)$'),
    'Python': re.compile(r'^ +Python: ([\d.]+)'),
    'PyTorch': re.compile(r'^ +PyTorch: (.+)$'),
    'MMEngine': re.compile(r'^ +MMEngine: (.+)$'),
}
META = ('epoch', 'iter', 'seed', 'time')


@dataclass
class Training:
    """What was recorded; empty where nothing was.

    Attributes:
        seconds: from the first to the last line, summed over the logs of a training that was
            resumed.
        logs: number of these logs.
        machine: ``'machine'``, ``'GPU'``, ``'Python'`` … → as logged last.
        epochs: that were trained.
        record: of ``done.json`` or ``begun.json``, which ``mlrfnet ablate`` writes.
        checkpoint: ``'epoch'``, ``'iter'``, ``'seed'``, ``'time'`` of the checkpoint.
    """

    seconds: float = 0.0
    logs: int = 0
    machine: dict[str, str] = field(default_factory=dict)
    epochs: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)


def read_training(folder: Path, checkpoint: Path | None = None) -> Training:
    """Read a work directory's logs, records and, for its counts alone, a checkpoint."""
    found = Training()
    for path in sorted(folder.glob('*/*.log')):
        text = path.read_text(encoding='utf-8', errors='replace')
        if 'Epoch(train)' in text:  # not that of a test
            _read_log(text.splitlines(), found)
    for name in ('begun.json', 'done.json'):
        if (folder / name).is_file():
            found.record |= json.loads((folder / name).read_text(encoding='utf-8'))
    if checkpoint is not None:
        found.checkpoint = _counts(checkpoint)
    return found


def _read_log(lines: list[str], found: Training) -> None:
    times = [match[1] for line in lines if (match := TIME.match(line))]
    first, last = (datetime.strptime(times[i], '%Y/%m/%d %H:%M:%S') for i in (0, -1))
    found.seconds += (last - first).total_seconds()
    found.logs += 1
    for line in lines:
        for name, pattern in LINES.items():
            if match := pattern.search(line):
                found.machine[name] = match[1].strip()
        if match := re.search(r'Epoch\(train\) +\[(\d+)\]', line):
            found.epochs = max(found.epochs, int(match[1]))


def _counts(path: Path) -> dict[str, Any]:
    """What mmengine wrote into a checkpoint; nothing of one that would have to be trusted."""
    try:
        check_plain(str(path))
        with torch_load_mode(weights_only=True):
            content = torch.load(path, map_location='meta')
    except (RuntimeError, OSError, pickle.UnpicklingError):
        return {}
    meta = content.get('meta', {}) if isinstance(content, dict) else {}
    return {key: meta[key] for key in META if key in meta}


def duration(seconds: float) -> str:
    """Hours, or minutes where it was less than one.

    >>> duration(139), duration(5400)
    ('2.3 minutes', '1.5 hours')
    """
    if seconds < 3600:
        return f'{seconds / 60:.1f} minutes'
    return f'{seconds / 3600:.1f} hours'
