"""The same as ``mlrfnet predict``, from a checkout: ``python tools/predict.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('predict')
