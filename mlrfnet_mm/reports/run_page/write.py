"""One page about a run: what ``mlrfnet report`` gathers from a work directory.

What is not there is named with the command that makes it; nothing is computed again but the
statistics of the saved predictions and the figures.
"""

from pathlib import Path

from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.output.page import html_page, markdown_page
from mlrfnet_mm.reports.run_page.found.tables import topic_section
from mlrfnet_mm.reports.run_page.results import read_results
from mlrfnet_mm.reports.run_page.sections import (
    areas_section,
    calibration_section,
    config_section,
    curves_section,
    protocol_section,
    thresholds_section,
)
from mlrfnet_mm.reports.run_page.summary import limits_section, not_run_section, summary_section


def write_report(
    work_dir: str | Path, base: str | None = None, replicates: int = 1000, seed: int = 0
) -> list[Path]:
    """Write ``report.html`` and ``report.md`` into the work directory.

    Args:
        work_dir: folder of the run.
        base: config to compare with; the data set's main config by default.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Returns:
        The paths of the two pages. Pictures lie in ``report_files``; the HTML page holds its own.
    """
    results = read_results(work_dir, replicates, seed)
    run, statistics = results.run, results.statistics
    sections = [
        summary_section(results),
        limits_section(results),
        protocol_section(run, statistics),
        config_section(run, base),
        curves_section(run),
        areas_section(run, statistics),
        thresholds_section(run, statistics),
        calibration_section(results),
        *(topic_section(found) for found in results.found.values() if found or found.stale),
        not_run_section(results),
    ]
    title = f'Report of {run.folder.absolute().name}'
    pages = {
        run.folder / 'report.html': html_page(title, sections),
        run.folder / 'report.md': markdown_page(title, sections, run.folder),
    }
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)
