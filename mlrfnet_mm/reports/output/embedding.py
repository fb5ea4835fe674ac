"""Pictures inside a page, at a size that a page can be sent at."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

MOST = 1_900_000  # bytes of all pictures: 2.5 MB as text, which leaves a page below 3 MB
QUALITY = 85  # of WebP: lines and letters stay clean
STEP = 0.8


def data_uris(
    paths: Sequence[Path], held: Mapping[Path, bytes] | None = None, most: int = MOST
) -> dict[Path, str]:
    """Pictures as addresses that hold them, so that the page needs no other file.

    A picture stays as it is where all fit; else the larger ones are made smaller, WebP first, then
    with fewer pixels.

    Args:
        paths: PNG files.
        held: content of those that lie on no disk.
        most: bytes of all.
    """
    held = held or {}
    sizes = {path: len(held[path]) if path in held else path.stat().st_size for path in paths}
    uris, left = {}, most
    for i, path in enumerate(sorted(sizes, key=sizes.__getitem__)):
        share = left // (len(sizes) - i)  # what smaller ones leave goes to the larger ones
        data = held[path] if path in held else path.read_bytes()
        kind, data = ('png', data) if sizes[path] <= share else shrunk(path.name, data, share)
        left -= len(data)
        uris[path] = f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
    return uris


def shrunk(name: str, data: bytes, most: int) -> tuple[str, bytes]:
    """A picture as WebP of at most so many bytes: its kind and itself.

    Raises:
        ValueError: not even a picture of a few pixels is that small.
    """
    with Image.open(BytesIO(data)) as file:
        picture = file.convert('RGB')
    width, height = picture.size
    while min(width, height) >= 8:
        out = BytesIO()
        picture.resize((width, height), Image.Resampling.LANCZOS).save(
            out, 'WEBP', quality=QUALITY, method=6
        )
        if out.tell() <= most:
            return 'webp', out.getvalue()
        width, height = int(width * STEP), int(height * STEP)
    raise ValueError(f'{name} does not fit into {most} bytes')
