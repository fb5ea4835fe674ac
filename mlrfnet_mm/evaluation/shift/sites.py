"""Where the calibration and thresholds of other sites lie: ``sites/NAME`` next to a checkpoint."""

import re
from pathlib import Path

SITES = 'sites'


def site_folder(folder: str | Path, site: str) -> Path:
    """The folder of a site's ``calibration.json`` and ``thresholds.json``.

    Args:
        folder: of the checkpoint.
        site: its name.

    Raises:
        ValueError: a name that cannot be that of a folder.
    """
    if not re.fullmatch(r'\w[\w .()+-]*', site) or site.endswith(('.', ' ')):
        raise ValueError(
            'a site is named by letters, digits, spaces and . ( ) + - _, the first a letter or '
            f'digit, got {site!r}'
        )
    return Path(folder) / SITES / site
