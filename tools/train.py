"""The same as ``mlrfnet train``, from a checkout: ``python tools/train.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('train')
