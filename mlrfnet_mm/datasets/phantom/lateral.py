"""The phantom seen from its left side: one more chest, of the same patient and with its findings.

Seen from the side the two lungs lie behind each other, each over its own dome of the diaphragm. So
a lateral view is two chests (`Aside`) that share tissue, bones and heart: a finding is painted on
that of its lung, by the same function and the same draws as in the frontal view (`findings`), so
that it keeps its size and its height. How deep it sits, in front or at the back, is drawn once for
a patient. Left in the image is the front.
"""

import numpy as np
from numpy.typing import NDArray

from mlrfnet_mm.datasets.phantom.anatomy import HILUM_Y, Chest, Map, Number, Pose, Thorax, ramp
from mlrfnet_mm.datasets.phantom.exposure import patient_vessels
from mlrfnet_mm.datasets.phantom.film import Film, scatter_field, transmit
from mlrfnet_mm.datasets.phantom.findings import PAINT, RESHAPE
from mlrfnet_mm.datasets.phantom.patients import (
    ASIDE,
    ASIDE_NOISE,
    ASIDE_PLACE,
    CLASSES,
    PAINT_DRAW,
    RESHAPE_DRAW,
    draw_patient,
    draw_visit,
    random_stream,
)

DEPTH = 0.73  # of the rib cage from front to back, as a share of its width
# Fluid and gas lie in the whole depth (0), a collapsed lower lobe and a hernia at the back (1).
DEPTHS = dict(Effusion=0, Pneumothorax=0, Atelectasis=1, Hernia=1)
BOTH_LUNGS = ('Emphysema',)


class AsidePose(Pose):
    """As `Pose`, with x = 0 in the middle between breastbone and back, which leans forward."""

    def body(self, size: int) -> tuple[Map, Map]:
        """Body coordinates (x, y) of every pixel center, two maps (size, size)."""
        z, y = super().body(size)
        return z - _center(y), y

    def pixels(self, points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """The inverse for points (..., 2): body coordinates to pixels of a (size, size) image."""
        x, y = points[..., 0], points[..., 1]
        return super().pixels(np.stack([x + _center(y), y], axis=-1), size)


class Profile(Thorax):
    """A thorax from the side, with the dome of one lung: `half_width` is half its depth."""

    @classmethod
    def of(cls, thorax: Thorax, side: int) -> 'Profile':
        """The profile of a frontal thorax with the dome of the lung on one side."""
        dome = thorax.domes[int(side > 0)]
        fields = dict(vars(thorax), half_width=DEPTH * thorax.half_width, domes=(dome, dome))
        return cls(**fields)

    def middle(self, y: Number) -> Number:
        """No mediastinum parts the front of a lung from its back: a border left of x = 0."""
        return 0 * y - 0.02

    def diaphragm(self, x: Map) -> Map:
        """Height y of the diaphragm over x: the angle at the back is the deepest place."""
        off = (x + np.float32(0.05)) * np.float32(1 / 0.26)
        fall = np.where(off > 0, np.float32(2.1), np.float32(1.0)) * np.float32(self.arch)
        return np.float32(self.domes[0]) + fall * off * off


class Aside(Chest):
    """A chest from the side with the air, vessels and findings of one of its lungs."""

    def side(self, side: int) -> Map:
        """The front (-1), the back (1) or all (0) of the lung, 0 … 1."""
        return self.lung * ramp(self.x * np.float32(side), 0.08) if side else self.lung

    def attenuation(self, vessels: Map) -> Map:
        """Twice this lung and once the rest of the body: the mean of both lungs is the beam's."""
        in_lung = self.vessels * vessels + 2 * self.opacity - self._depth * self.air
        overlay = np.maximum(self.overlay, np.float32(-0.15))  # gas amid air is hardly darker
        return self._solid + self._next_to_heart * in_lung + 2 * overlay

    def _heart(self) -> Map:
        """Thickness of the heart, 0 … 1: behind the breastbone, a large one reaches the spine."""
        growth = self.shape.heart_ratio / 0.43
        half, height = 0.135 * growth, 0.165 * growth**0.5
        dy = (self.y - np.float32(self.shape.heart_y + 0.01)) * np.float32(1 / height)
        dx = (self.x - np.float32(half - 0.225 * growth**0.2) + np.float32(0.03) * dy) / half
        square = dy * dy
        return np.clip((1 - dx * dx - np.where(dy > 0, square * square, square)) * 1.6, 0, 1)

    def _bones(self) -> Map:
        """Attenuation of ribs, breastbone and spine."""
        x, y, rest = self.x, self.y, self.rest
        cage = ramp(self._inside + 0.012, 0.02) * ramp(y - (rest.apex + 0.03), 0.06)
        cage *= ramp(max(rest.domes) + 0.11 - y, 0.12)
        turn = np.float32(2 * np.pi / rest.rib_gap)
        slant = y + np.float32(0.5) * x
        left = np.cos(turn * slant + np.float32(6.28 * rest.rib_phase))
        right = np.cos(turn * (slant + 0.03 * x) + np.float32(6.28 * rest.rib_phase + 2.5))
        ribs = ramp(left - 0.45, 0.7) + ramp(right - 0.45, 0.7)
        breastbone = ramp(0.011 - np.abs(self._inside + 0.004), 0.01) * (x < 0)
        breastbone *= ramp(y - rest.apex - 0.06, 0.04) * ramp(0.60 - y, 0.06)
        z = x + _center(y)
        bend = 0.17 - 1.3 * np.clip(0.34 - y, 0, 1) ** 2 - 0.35 * np.clip(y - 0.62, 0, 1) ** 2
        bodies = np.cos(2 * np.pi * (y + 0.15 * (z - bend)) / 0.062)
        spine = ramp(0.040 - np.abs(z - bend), 0.012) * (0.75 + 0.3 * ramp(bodies + 0.6, 0.5))
        spine += 0.35 * ramp(0.018 - np.abs(z - bend - 0.07), 0.02)  # the arches behind
        return rest.rib * (0.55 * cage * ribs + 0.9 * breastbone) + 0.30 * spine

    def _build(self) -> None:
        """What no finding paints over: tissue and bones, and the share the heart leaves free."""
        x, y, rest = self.x, self.y, self.rest
        slope = np.clip((y - np.float32(rest.apex - 0.16)) * np.float32(1 / 0.30), 0, 1)
        torso = rest.half_width + 0.75 * rest.flank
        skin = 0.24 + (torso - 0.24) * slope * (2 - slope) + 0.02  # the arms are raised
        tissue = np.clip(1 - (x / skin) ** 2, 0, 1) ** 0.4 * np.float32(rest.tissue)
        shoulders = ramp(0.25 - y, 0.22) * np.clip(1.1 - (x / 0.36) ** 2, 0, 1)
        heart = self._heart()
        trunk = ramp(0.055 - np.abs(x + 0.01), 0.05) * ramp(y - 0.25, 0.12) * ramp(0.55 - y, 0.1)
        arch = np.exp(-(((np.hypot(x - 0.015, y - 0.335) - 0.045) / 0.022) ** 2)) * (y < 0.36)
        hilum = np.exp(-(np.hypot(x - 0.01, (y - HILUM_Y) * 0.8) ** 2) / 0.032**2)
        trachea = ramp(0.017 - np.abs(x - 0.15 * (y - 0.30)), 0.014) * ramp(
            HILUM_Y - 0.02 - y, 0.04
        )
        solid = tissue + self._bones() + 0.30 * shoulders + 0.16 * heart
        solid += 0.10 * trunk + 0.12 * arch + 0.20 * hilum - 0.20 * trachea
        below = ramp(y - self.floor, 0.014) * ramp(self._inside + 0.02, 0.05)
        solid += 0.30 * below * np.clip(0.6 + 2 * (y - self.floor), 0, 1)
        bubble = np.hypot((x + 0.02) / 1.6, y - np.float32(rest.domes[1] + 0.075))
        solid -= np.float32(rest.bubble) * ramp(0.03 - bubble, 0.012)
        if rest.breast:
            fold = np.hypot((x + rest.half_width + 0.02) / 0.10, (y - 0.62) / 0.15)
            solid += 3 * rest.breast * ramp(1 - fold, 0.5)
        self._solid = solid
        self._depth = tissue * np.float32(self.shape.lucency)
        self._next_to_heart = 1 - np.float32(0.5) * heart


def render_lateral(seed: int, patient_id: int, index: int, size: int = 128) -> NDArray[np.uint8]:
    """Renders the lateral view of a patient's visit.

    Args:
        seed: seed of the whole data set.
        patient_id: number of the patient, from 1.
        index: number of the visit, from 0.
        size: pixels a side.

    Returns:
        The image, (size, size).

    Raises:
        IndexError: the patient has no visit of that index.
    """
    findings = draw_visit(seed, patient_id, index).findings
    rng = random_stream(seed, patient_id, ASIDE, index)
    pose = AsidePose(
        dx=rng.uniform(-0.02, 0.02) + 0.01,
        dy=rng.uniform(-0.015, 0.02),
        turn=rng.uniform(-0.04, 0.04),
        scale=rng.uniform(0.97, 1.03),
    )
    film = Film.draw(rng, size)
    bare = _lungs(seed, patient_id, index, (), pose, size)
    vessels = 0.02 * bare[1].cloud(rng, 0.08)
    widths, weights = (0.010, 0.006, 0.004), (0.15, 0.11, 0.09)
    for lines, width, weight in zip(
        patient_vessels(seed, patient_id), widths, weights, strict=True
    ):
        # From the side the same branches have the same heights, drawn in to the lung's depth.
        vessels += weight * bare[1].strokes(lines * np.array([0.75, 1.0]), width)
    full = _lungs(seed, patient_id, index, findings, pose, size)
    transmission = transmit(_beam(full, vessels), scatter_field(_beam(bare, vessels)))
    return film.develop(transmission, random_stream(seed, patient_id, ASIDE_NOISE, index))


def _center(y: Number) -> Number:
    """How far behind the middle of the image the middle of the chest lies at height y."""
    return 0.055 - 0.11 * y


def _lungs(
    seed: int, patient_id: int, index: int, findings: tuple[str, ...], pose: Pose, size: int
) -> dict[int, Aside]:
    """The chest with each of its lungs, -1 that which is left in a frontal image."""
    patient = draw_patient(seed, patient_id)
    places = {
        name: patient.places[name]._replace(growth=patient.visits[index].growth)
        for name in findings
    }
    shape = patient.thorax
    for name in findings:
        if name in RESHAPE:
            rng = random_stream(seed, patient_id, RESHAPE_DRAW, CLASSES.index(name))
            shape = RESHAPE[name](shape, places[name], rng)
    lungs = {
        side: Aside(Profile.of(patient.thorax, side), Profile.of(shape, side), pose, size)
        for side in (-1, 1)
    }
    for name in findings:
        if name not in PAINT:
            continue
        number = CLASSES.index(name)
        depth = int(random_stream(seed, patient_id, ASIDE_PLACE, number).choice([-1, 1]))
        place = places[name]._replace(side=DEPTHS.get(name, depth))
        for side in (-1, 1) if name in BOTH_LUNGS else (places[name].side,):
            PAINT[name](lungs[side], place, random_stream(seed, patient_id, PAINT_DRAW, number))
    return lungs


def _beam(lungs: dict[int, Aside], vessels: Map) -> Map:
    """Attenuation along the beam, which crosses both lungs."""
    both = lungs[-1].attenuation(vessels) + lungs[1].attenuation(vessels)
    return np.maximum(np.float32(0.5) * both, 0)
