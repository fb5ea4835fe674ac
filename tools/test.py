"""The same as ``mlrfnet test``, from a checkout: ``python tools/test.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('test')
