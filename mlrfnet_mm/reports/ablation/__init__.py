"""A table of comparisons from its folder of configs to Markdown, CSV and plots.

::

    table.json + one config per row ─ description ─ plan ─ runs ─ execute ─ report, plots
                                                  whole    a row   mlrfnet train,
                                                  configs  × seed  mlrfnet test
"""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.reports.ablation.execute import Settings, execute
from mlrfnet_mm.reports.ablation.plan import Plan, build_plan
from mlrfnet_mm.reports.ablation.ray_tasks import execute_on_ray
from mlrfnet_mm.reports.ablation.report import write_report
from mlrfnet_mm.reports.ablation.runs import Run, finished, list_runs

__all__ = [
    'Plan',
    'Run',
    'Settings',
    'build_plan',
    'execute',
    'execute_on_ray',
    'finished',
    'list_runs',
    'write_report',
]
