"""The same as ``mlrfnet prepare``, from a checkout: ``python tools/prepare.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('prepare')
