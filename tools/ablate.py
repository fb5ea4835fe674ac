"""The same as ``mlrfnet ablate``, from a checkout: ``python tools/ablate.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('ablate')
