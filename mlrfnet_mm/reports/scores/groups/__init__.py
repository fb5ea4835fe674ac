"""Groups of patients, with a forest plot, and two references for the same images."""

from mlrfnet_mm.reports.scores.groups.forest_figure import plot_forest
from mlrfnet_mm.reports.scores.groups.joined_columns import read_joined
from mlrfnet_mm.reports.scores.groups.subgroups import Subgroups, evaluate_subgroups
from mlrfnet_mm.reports.scores.groups.tables import subgroup_tables

__all__ = ['Subgroups', 'evaluate_subgroups', 'plot_forest', 'read_joined', 'subgroup_tables']
