"""The patients of the thorax phantom: anatomy, visits and findings, drawn without rendering.

In a planted phantom three findings are rarer and three others fainter in one group each, by sex,
age and view, so that subgroup tables can be right or wrong; the other eight differ by nothing but
what the anatomy brings with it. All else is as in the phantom of the same seed without them: an
image that no planted difference touches is the same, byte for byte.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mlrfnet_mm.datasets.phantom.anatomy import Thorax
from mlrfnet_mm.datasets.phantom.findings import Place
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS

CLASSES = FINDINGS

# How often each finding is drawn, relative to the others: about 9–17 % of the images have it.
WEIGHTS = dict(
    Atelectasis=1.2, Cardiomegaly=1.1, Effusion=1.3, Infiltration=1.3, Mass=1.1, Nodule=1.1,
    Pneumonia=1.1, Pneumothorax=1.1, Consolidation=1.1, Edema=1.2, Emphysema=1.5, Fibrosis=1.0,
    Pleural_Thickening=1.0, Hernia=1.0,
)  # fmt: skip
HEALTHY = 0.29  # share of images without a finding
COUNT = (0.25, 0.35, 0.25, 0.15)  # shares of 1 … 4 findings among the others
# Emphysema lowers the diaphragm and narrows the heart: it would cancel these.
EXCLUDES = {'Emphysema': {'Atelectasis', 'Cardiomegaly', 'Edema'}}
# Zones (0 upper … 2 lower) where a finding may sit; the others lie on the midline or on both sides.
ZONES = dict(
    Atelectasis=(2,), Effusion=(2,), Infiltration=(0, 1, 2), Mass=(0, 1, 2), Nodule=(0, 1, 2),
    Pneumonia=(0, 1, 2), Pneumothorax=(0,), Consolidation=(0, 1, 2), Pleural_Thickening=(0, 1),
)  # fmt: skip

# Independent random streams.
PATIENT, VISIT, VESSELS, NOISE, RESHAPE_DRAW, PAINT_DRAW = range(6)
STUDY, ASIDE, ASIDE_PLACE, ASIDE_NOISE, PLANTED = range(6, 11)


KEPT = 0.3  # share of a finding's occurrences that stay in the group
CONTRAST = 0.25  # of a finding's change of the attenuation that is left in the group


class Group(NamedTuple):
    """Who or what a difference is planted in."""

    column: str  # 'sex', 'age' or 'view'
    name: str  # as tables name it

    def holds(self, sex: str, age: int, view: str) -> bool:
        """Whether an image belongs to the group."""
        if self.column == 'age':
            least, _, most = self.name.removesuffix('+').partition('-')
            return int(least) <= age <= int(most or 999)
        return dict(sex=sex, view=view)[self.column] == self.name


RARER = dict(
    Cardiomegaly=Group('sex', 'F'), Emphysema=Group('age', '0-39'), Atelectasis=Group('view', 'PA')
)  # fmt: skip
FAINTER = dict(
    Effusion=Group('sex', 'F'), Edema=Group('age', '65+'), Pneumothorax=Group('view', 'AP')
)  # fmt: skip


class Visit(NamedTuple):
    """One image of a patient before it is rendered."""

    findings: tuple[str, ...]  # in the order of CLASSES
    view: str  # 'PA' or 'AP'
    age: int  # years
    growth: float  # factor on the extent of the findings since they appeared


class Patient(NamedTuple):
    """What all images of a patient have in common, and the list of them."""

    gender: str  # 'M' or 'F'
    thorax: Thorax
    places: dict[str, Place]  # of each finding that this patient ever has
    visits: tuple[Visit, ...]


def random_stream(seed: int, patient_id: int, *stream: int) -> np.random.Generator:
    """A generator that depends on nothing but its arguments."""
    return np.random.default_rng(np.random.SeedSequence((seed, patient_id), spawn_key=stream))


def is_test_patient(patient_id: int) -> bool:
    """Every fourth patient is in the test list."""
    return patient_id % 4 == 0


@lru_cache(maxsize=2)
def draw_patient(seed: int, patient_id: int, planted: bool = False) -> Patient:
    """Draws anatomy, visits and findings of a patient without rendering anything.

    ``planted`` leaves out some of what ``RARER`` names; all else is the same.
    """
    rng = random_stream(seed, patient_id, PATIENT)
    gender = str(rng.choice(['M', 'F']))
    dome, gap = rng.uniform(0.70, 0.73), rng.uniform(0.008, 0.024)
    thorax = Thorax(
        half_width=rng.uniform(0.352, 0.380) - 0.008 * (gender == 'F'),
        apex=rng.uniform(0.115, 0.145),
        domes=(dome - gap / 2, dome + gap / 2),
        arch=rng.uniform(0.055, 0.08),
        heart_ratio=rng.uniform(0.38, 0.44),
        heart_y=rng.uniform(0.60, 0.62),
        lucency=rng.uniform(0.66, 0.70),
        tissue=rng.uniform(1.55, 1.75),
        flank=rng.uniform(0.055, 0.115),
        breast=rng.uniform(0.05, 0.16) if gender == 'F' else 0.0,
        bubble=rng.uniform(0.0, 0.5),
        rib_phase=rng.uniform(0, 1),
        rib_gap=rng.uniform(0.066, 0.076),
        rib=rng.uniform(0.17, 0.23),
    )
    age, findings, growth, visits = int(rng.integers(18, 90)), _draw_findings(rng), 1.0, []
    for index in range(int(rng.integers(1, 6))):
        if index:
            age, growth = age + int(rng.integers(0, 2)), growth * rng.uniform(0.9, 1.1)
            if rng.random() < 0.45:  # the disease has changed; otherwise it persists
                findings, growth = _draw_findings(rng), 1.0
        view = 'AP' if rng.random() < (0.45 if findings else 0.25) else 'PA'
        visits.append(Visit(findings, view, age, float(np.clip(growth, 0.9, 1.12))))
    places = _draw_places(rng, visits)
    if planted:
        draws = random_stream(seed, patient_id, PLANTED).random(len(RARER))
        by_name = dict(zip(RARER, draws.tolist(), strict=True))
        for i, (found, view, age, _) in enumerate(visits):
            kept = kept_findings(found, by_name, gender, age, view)
            visits[i] = visits[i]._replace(findings=kept)
    return Patient(gender, thorax, places, tuple(visits))


def draw_visit(seed: int, patient_id: int, index: int, planted: bool = False) -> Visit:
    """One visit of a patient, from 0.

    Raises:
        IndexError: the patient has no visit of that index.
    """
    visits = draw_patient(seed, patient_id, planted).visits
    if not 0 <= index < len(visits):
        raise IndexError(
            f'patient {patient_id} of seed {seed} has {len(visits)} images, index must be '
            f'0 … {len(visits) - 1}, got {index}'
        )
    return visits[index]


def _draw_findings(rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() < HEALTHY:
        return ()
    weights = np.array([WEIGHTS[name] for name in CLASSES])
    order = rng.choice(len(CLASSES), len(CLASSES), replace=False, p=weights / weights.sum())
    count = 1 + int(rng.choice(len(COUNT), p=COUNT))
    chosen: set[str] = set()
    for name in (CLASSES[i] for i in order):
        clash = any(name in EXCLUDES.get(c, ()) or c in EXCLUDES.get(name, ()) for c in chosen)
        if not clash and len(chosen) < count:
            chosen.add(name)
    return tuple(name for name in CLASSES if name in chosen)


def _draw_places(rng: np.random.Generator, visits: list[Visit]) -> dict[str, Place]:
    """One lasting place for each finding, in the least crowded zones: none should hide another."""
    crowd = rng.random((2, 3)) * 0.1  # (side, zone); ties fall at random
    places = {}
    ever = {name for visit in visits for name in visit.findings}
    for name in sorted(ever, key=lambda name: (len(ZONES.get(name, '123')), CLASSES.index(name))):
        zones = ZONES.get(name, ())
        free = [(crowd[side, zone], side, zone) for side in (0, 1) for zone in zones]
        _, side, zone = min(free, default=(0, int(rng.integers(2)), 1))
        if zones:
            crowd[side, zone] += 1
        places[name] = Place(2 * side - 1, zone)
    return places


def kept_findings(
    findings: tuple[str, ...], draws: dict[str, float], sex: str, age: int, view: str
) -> tuple[str, ...]:
    """Findings of a visit without those that are made rarer.

    Args:
        findings: of the visit.
        draws: one number from 0 to 1 for each finding of ``RARER``, the same in all visits of the
            patient: a disease that persists is there in all of them or in none.
        sex: of the patient.
        age: at the visit.
        view: of the image.
    """
    return tuple(
        name
        for name in findings
        if name not in RARER or not RARER[name].holds(sex, age, view) or draws[name] < KEPT
    )


def contrasts(sex: str, age: int, view: str) -> dict[str, float]:
    """Findings that are fainter in an image → their contrast."""
    return {name: CONTRAST for name, group in FAINTER.items() if group.holds(sex, age, view)}


def describe_planted() -> dict[str, Any]:
    """What is planted, for ``phantom.json``."""
    return dict(
        rarer={name: [*group, KEPT] for name, group in RARER.items()},
        fainter={name: [*group, CONTRAST] for name, group in FAINTER.items()},
    )
