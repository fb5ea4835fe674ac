"""Sex and age of patients, as the label tables write them."""

import functools
import re

AGE = re.compile(r'(\d+(?:\.\d+)?)([DWMY]?)')  # a number of years, or DICOM's age string
PER_YEAR = {'': 1.0, 'Y': 1.0, 'M': 12.0, 'W': 365.25 / 7, 'D': 365.25}
UNKNOWN = ('', 'nan', 'na', 'none', 'unknown')
SEXES = {'f': 'F', 'female': 'F', 'm': 'M', 'male': 'M', 'o': 'O', 'other': 'O'}


@functools.cache  # of 112,120 rows few differ
def years(entry: str) -> float | None:
    """Years; ``None`` where the age is not known.

    >>> years('58'), years('058Y'), years('018M'), years('')
    (58.0, 58.0, 1.5, None)

    Raises:
        ValueError: another entry.
    """
    text = entry.strip()
    if text.lower() in UNKNOWN:
        return None
    match = AGE.fullmatch(text.upper())
    if match is None:
        raise ValueError(
            f"the age {entry!r}; give years, or DICOM's age as 018M; leave it blank where it is "
            'not known'
        )
    return float(match[1]) / PER_YEAR[match[2]]


@functools.cache
def sex(entry: str) -> str:
    """``'F'``, ``'M'`` or ``'O'`` (other); ``''`` where the sex is not known.

    >>> sex('Female'), sex('m'), sex('Unknown')
    ('F', 'M', '')

    Raises:
        ValueError: another entry.
    """
    text = entry.strip().lower()
    if text in UNKNOWN or text == 'u':
        return ''
    if text not in SEXES:
        raise ValueError(f'the sex {entry!r}, which is none of F, M, O and blank')
    return SEXES[text]
