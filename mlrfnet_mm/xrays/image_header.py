"""What an image file claims to be, read from its header before anything is decoded."""

import struct
import warnings
from io import BytesIO

import simplejpeg
from PIL import Image, UnidentifiedImageError

PNG, JPEG, TIFF = b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff', (b'II*\0', b'MM\0*')
MEGAPIXELS = 100.0  # the largest detectors have 20; a file of a few bytes can claim millions
ANIMATED = ('GIF', 'WEBP', 'AVIF')


def check_size(width: int, height: int, megapixels: float = MEGAPIXELS) -> None:
    """Refuse an image of more than so many.

    Raises:
        ValueError: with the size claimed and the limit.
    """
    if width * height > megapixels * 1e6:
        raise ValueError(
            f'the file claims {width:,} × {height:,} pixels, more than {megapixels:g} megapixels: '
            'not decoded; get the file again, or make the image smaller'
        )


def check_header(data: bytes, megapixels: float = MEGAPIXELS) -> None:
    """Refuse a file that claims too many pixels, holds several pictures, or is not an image.

    Args:
        data: the whole file. TIFF of kinds that Pillow does not know is left to the decoder.
        megapixels: at most, as the file claims them.

    Raises:
        ValueError: such a file. Its content is not quoted: it may be a private one.
    """
    if data.startswith(PNG):
        if len(data) >= 24:
            width, height = struct.unpack('>II', data[16:24])
            check_size(width, height, megapixels)
        first = data.find(b'IDAT')
        if data.find(b'acTL', 0, None if first < 0 else first) >= 0:
            raise ValueError('an animated PNG holds several pictures; give a single one')
    elif data.startswith(JPEG):
        height, width, _ = _jpeg_header(data)
        check_size(width, height, megapixels)
    else:
        size, animated = _pillow_header(data)
        check_size(*size, megapixels)
        if animated:
            raise ValueError(f'an animated {animated} holds several pictures; give a single one')


def check_jpeg(data: bytes) -> bool:
    """Refuse a JPEG with missing data, which the decoder would make up.

    A JPEG has no checksum: a decoder fills up what is missing with gray and only warns.

    Returns:
        Whether it is plain: one gray channel that no Exif header turns.

    Raises:
        ValueError: with the decoder's warning.
    """
    space = _jpeg_header(data)[2]
    plain = space == 'Gray' and b'Exif\0' not in data[:65536]
    if not plain:  # a plain one is decoded in the same strict way later
        decode_jpeg(data, 'CMYK' if space in ('CMYK', 'YCCK') else 'GRAY', 1)
    return plain


def decode_jpeg(data: bytes, space: str = 'GRAY', least_side: int = 0):  # type: ignore[no-untyped-def]
    """Decode strictly, uint8 (H, W, C); ``least_side`` as in simplejpeg, for a mere check."""
    try:
        return simplejpeg.decode_jpeg(data, space, min_height=least_side, min_width=least_side)
    except ValueError as error:
        raise damaged_jpeg(data, error) from None


def damaged_jpeg(data: bytes, error: Exception) -> ValueError:
    """Say in one line what the decoder found."""
    return ValueError(
        f'the JPEG of {len(data):,} bytes has damaged data and does not decode whole ({error}); '
        'get it again'
    )


def _jpeg_header(data: bytes) -> tuple[int, int, str]:
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise damaged_jpeg(data, error) from None
    return height, width, space


def _pillow_header(data: bytes) -> tuple[tuple[int, int], str]:
    """The size, and the format if it holds several pictures in time."""
    unknown = f'not an image of a kind that is read ({len(data):,} bytes); give PNG or JPEG'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # the limit is ours
            with Image.open(BytesIO(data)) as image:
                several = image.format in ANIMATED and getattr(image, 'n_frames', 1) > 1
                return image.size, str(image.format) if several else ''
    except Image.DecompressionBombError:
        raise ValueError(
            f'the file claims more than {MEGAPIXELS:g} megapixels: not decoded; get the file '
            'again, or make the image smaller'
        ) from None
    except UnidentifiedImageError:
        if data.startswith(TIFF):
            raise ValueError('a TIFF of a kind that Pillow does not know; give a PNG') from None
        raise ValueError(unknown) from None
    except Exception as error:  # a header cut off within
        raise ValueError(f'{unknown}: {type(error).__name__}') from None
