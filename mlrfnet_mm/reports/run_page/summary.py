"""The first section of a run's page: what a reader who stops there should know; and the last."""

from mlrfnet_mm.reports.output.page import Absent, Section
from mlrfnet_mm.reports.output.tables import Record, Table, cell, number
from mlrfnet_mm.reports.run_page.finished_run import TEST, test_command
from mlrfnet_mm.reports.run_page.limits import limits, weakest
from mlrfnet_mm.reports.run_page.results import Results


def summary_table(results: Results) -> Table:
    """Mean AUC, calibration, data, protocol, seeds and the weakest findings, one per row."""
    records: list[Record] = []
    statistics, config = results.statistics, results.run.config

    def say(what: str, value: str) -> None:
        records.append({'what': what, 'value': value})

    if statistics is not None:
        stamp, mean = statistics.stamp, statistics.tables[0].records[-1]
        for key, name in (('auc', 'AUC'), ('ap', 'AP')):
            say(f'{name}, {mean["finding"]} (95 % interval)', cell(mean, key))
        say('weakest findings (AUC)', '; '.join(
            f'{row["finding"]} {cell(row, "auc")}' for row in weakest(results)
        ))  # fmt: skip
    if results.calibrated is not None:
        mean = results.calibrated.records[-1]
        before, after = (number(mean[f'ece_{w}'], 'ece') for w in ('before', 'after'))
        say('calibration error, mean (ECE)', f'{before}, calibrated {after}')
    if statistics is not None:
        units = 'studies' if 'studies' in stamp else 'images'
        say('tested on', f'{stamp["dataset"]}, {stamp["split"]}: {stamp[units]:,} {units}, '
            f'{stamp["patients"]:,} patients')  # fmt: skip
        say('protocol', str(stamp['protocol']))
    if config is not None:
        seed = (config.get('randomness') or {}).get('seed')
        say('seeds', f'training {seed}' + (f', bootstrap {stamp["seed"]}' if statistics else ''))
    return Table('summary', 'In short', {'': 'what', 'value': 'value'}, records)


def summary_section(results: Results) -> Section:
    """The table, or how to make what it is made from."""
    section = Section('Summary')
    table = summary_table(results)
    if results.statistics is None:
        section.blocks.append(Absent('Test predictions', test_command(results.run, TEST)))
    if table.records:
        section.blocks.append(table)
    return section


def limits_section(results: Results) -> Section:
    """What the numbers do not say."""
    return Section('Limits', [*limits(results)])


def not_run_section(results: Results) -> Section:
    """The topics that the folder has nothing on, each with its command."""
    section = Section('Not run', folded=True)
    section.blocks += [
        Absent(found.topic.title, found.topic.command_of(results.run))
        for found in results.found.values()
        if not found
    ]
    if not section.blocks:
        section.blocks.append('Nothing: the folder has a table on every subject.')
    return section
