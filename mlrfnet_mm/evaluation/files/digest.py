"""What ties numbers to the weights that they are of."""

import hashlib
from pathlib import Path


def checkpoint_digest(path: str | Path) -> str:
    """First 12 hexadecimal digits of a checkpoint file's SHA-256; ``''`` if it is not a local file.

    It ties predictions, calibration and thresholds to the weights that they are of.
    """
    path = Path(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ''
