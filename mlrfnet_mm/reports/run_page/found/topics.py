"""Which subjects a run's page and card have, beyond its own predictions: files and commands."""

from mlrfnet_mm.reports.run_page.found.tables import Topic

EVALUATE = 'mlrfnet evaluate {test} --val {val}'
COMPLEXITY = Topic(
    'complexity', 'Complexity', ('complexity',), 'mlrfnet complexity {config} --out-dir {folder}'
)
TOPICS = (
    Topic(
        'subgroups',
        'Subgroups',
        ('groups_tests', 'groups_*'),
        f'{EVALUATE} --by sex age view --out-dir {{folder}}',
        pictures=('forest_*',),
    ),
    Topic(
        'second_reference',
        'A second reference',
        ('second_reference', 'label_agreement'),
        'mlrfnet evaluate {test} --labels NAME_OR_TABLE --out-dir {folder}',
    ),
    Topic(
        'comparison',
        'Compared with another model',
        ('against', '*_against', 'margin', 'compare', 'power'),
        f'{EVALUATE} --against OTHER.npz --out-dir {{folder}}',
    ),
    Topic(
        'clinical',
        'Clinical use',
        ('fixed_rates', 'predictive_values', 'calibration_slope', 'net_benefit', 'clinical_groups'),
        f'{EVALUATE} --clinical --calibration {{folder}} --out-dir {{folder}}',
        pictures=('decision_curves',),
    ),
    Topic(
        'robustness',
        'Robustness',
        ('robustness/robustness',),
        'mlrfnet robustness {config} {folder}',
        pictures=('robustness/robustness*',),
    ),
    Topic(
        'failures',
        'Failures',
        ('failures/failures',),
        'mlrfnet failures {folder}',
        pages=('failures/index.html',),
        left_out=('image', 'patient'),
        cases=True,
    ),
    Topic(
        'adaptation',
        'Another site',
        ('sites/*/adaptation',),
        'mlrfnet adapt {folder} SITE.npz',
    ),
    Topic(
        'drift',
        'Drift',
        ('drift*',),
        'mlrfnet drift {test} OTHER.npz --out-dir {folder}',
        pages=('drift.html',),
    ),
    Topic(
        'localisation',
        'Localisation',
        ('localisation',),
        'mlrfnet localise {config} {folder}',
        pictures=('localisation*',),
    ),
    COMPLEXITY,
)
