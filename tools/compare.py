"""The same as ``mlrfnet compare``, from a checkout: ``python tools/compare.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('compare')
