"""The same as ``mlrfnet calibrate``, from a checkout: ``python tools/calibrate.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('calibrate')
