"""Which subjects a run's page and card have, beyond its own predictions: files and commands."""

from mlrfnet_mm.reports.run_page.found_tables import Topic

LOCALISATION = Topic(
    'localisation',
    'Localisation',
    ('localisation',),
    'mlrfnet localise {config} {folder}',
)
COMPLEXITY = Topic(
    'complexity', 'Complexity', ('complexity',), 'mlrfnet complexity {config} --out-dir {folder}'
)
TOPICS = (
    Topic(
        'subgroups',
        'Subgroups',
        ('subgroup*', 'group*', 'heterogeneity*'),
        'mlrfnet evaluate {test} --val {val} --by sex age view --out-dir {folder}',
    ),
    Topic(
        'second_reference',
        'A second reference',
        ('second_reference*', 'reference*', 'agreement*'),
        'mlrfnet evaluate {test} --labels TABLE --out-dir {folder}',
    ),
    Topic(
        'comparison',
        'Compared with another model',
        ('against*', 'comparison*', 'mcnemar*', 'margin*', 'power*'),
        'mlrfnet evaluate {test} --val {val} --against OTHER.npz --out-dir {folder}',
    ),
    Topic(
        'clinical',
        'Clinical use',
        ('clinical*', 'fixed_*', 'partial_auc*', 'predictive_values*', 'net_benefit*'),
        'mlrfnet evaluate {test} --val {val} --clinical --out-dir {folder}',
    ),
    Topic(
        'robustness',
        'Robustness',
        ('robustness*',),
        'mlrfnet robustness {config} {folder} --out-dir {folder}',
    ),
    Topic(
        'failures',
        'Failures',
        ('failures*',),
        'mlrfnet failures {config} {folder} --out-dir {folder}',
    ),
    Topic(
        'drift',
        'Another site, drift',
        ('drift*', 'adapt*'),
        'mlrfnet drift {test} OTHER.npz --out-dir {folder}',
    ),
    LOCALISATION,
    COMPLEXITY,
)
