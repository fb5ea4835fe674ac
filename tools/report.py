"""The same as ``mlrfnet report``, from a checkout: ``python tools/report.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('report')
