"""Files that are there as a whole or not at all: a full disk or a kill leaves the earlier one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield the path to write to; in the end it takes the file's place, after an error it is gone.

    Args:
        path: the file; the other one has its suffix too, as some writers go by that.
    """
    path = Path(path)
    part = path.with_name(f'.{path.stem}.part{path.suffix}')
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str, errors: str = 'strict') -> None:
    """Write a text file in UTF-8, as a whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding='utf-8', errors=errors)
