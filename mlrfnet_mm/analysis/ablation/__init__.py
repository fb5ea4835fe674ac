"""A table of comparisons from its folder of configs to Markdown, CSV and plots.

::

    table.json + one config a row ─ description ─ plan ─ runs ─ execute ─ report, plots
                                                  whole    a row   tools/train.py,
                                                  configs  × seed  tools/test.py
"""

from .execute import Settings, execute
from .plan import Plan, build_plan
from .report import write_report
from .runs import Run, finished, list_runs

__all__ = [
    'Plan',
    'Run',
    'Settings',
    'build_plan',
    'execute',
    'finished',
    'list_runs',
    'write_report',
]
