"""The 14 findings of the thorax phantom, each with its own look, place and size: a toy.

A finding either reshapes the chest (`RESHAPE`: a new `Thorax` from the old one) or paints on it
(`PAINT`: changes a `Chest` in place), or both. Each draws from a generator of its own, so leaving
one out changes nothing in the others.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.datasets.phantom.anatomy import HILUM_X, HILUM_Y, Chest, Map, Thorax, ramp

ZONE_Q = (0.27, 0.52, 0.77)  # middle of the upper, middle and lower zone, 0 apex … 1 diaphragm


class Place(NamedTuple):
    """Where a finding sits in a patient."""

    side: int  # -1 is left in the image, 1 right
    zone: int  # 0 upper, 1 middle, 2 lower
    growth: float = 1.0  # factor on its extent, changes between follow-ups


# --- findings that reshape the chest ---------------------------------------------------------


def raise_dome(thorax: Thorax, place: Place, rng: np.random.Generator) -> Thorax:
    """Atelectasis: the lung has lost volume, its diaphragm stands 6–10 % of the width higher."""
    rise = float(rng.uniform(0.06, 0.10)) * place.growth
    left, right = thorax.domes
    domes = (left - rise, right) if place.side < 0 else (left, right - rise)
    return replace(thorax, domes=domes)


def widen_heart(thorax: Thorax, place: Place, rng: np.random.Generator) -> Thorax:
    """Cardiomegaly: a cardio-thoracic ratio of 0.57–0.68."""
    return replace(thorax, heart_ratio=float(rng.uniform(0.57, 0.68)))


def inflate(thorax: Thorax, place: Place, rng: np.random.Generator) -> Thorax:
    """Emphysema: long dark lungs, flat low diaphragm, narrow heart."""
    drop = float(rng.uniform(0.045, 0.075)) * place.growth
    return replace(
        thorax,
        domes=(thorax.domes[0] + drop, thorax.domes[1] + drop),
        arch=0.25 * thorax.arch,
        half_width=thorax.half_width + 0.008,
        heart_ratio=0.76 * thorax.heart_ratio,
        heart_y=thorax.heart_y + 0.5 * drop,
        lucency=thorax.lucency + float(rng.uniform(0.10, 0.14)),
    )


# --- findings that paint ---------------------------------------------------------------------


def atelectasis(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A dense wedge on the raised diaphragm, thick at the mediastinum, and a plate-like line."""
    height = rng.uniform(0.11, 0.17) * place.growth
    top = chest.floor - np.float32(height) * np.clip(1.05 - chest.p, 0, 1)
    chest.opacity += (
        np.float32(rng.uniform(0.5, 0.65)) * ramp(chest.y - top, 0.012) * chest.side(place.side)
    )
    x, y = chest.rest.point(place.side, 0.1, rng.uniform(0.55, 0.62))
    end = chest.rest.point(place.side, 0.85, rng.uniform(0.66, 0.74))
    plate = chest.strokes(np.array([[(x, y), end]]), 0.012)
    chest.opacity += 0.35 * plate * chest.side(place.side)


def effusion(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """Fluid: an even white base whose upper border climbs the wall in a concave curve."""
    dome = chest.rest.domes[int(place.side > 0)] + 0.5 * chest.rest.arch
    level = dome - rng.uniform(0.13, 0.26) * place.growth
    climb = rng.uniform(0.10, 0.16)
    p = np.clip(chest.p, 0, 1)
    surface = np.float32(level) - np.float32(climb) * (p * p) ** 2 - np.float32(0.03) * (1 - p) ** 2
    fluid = ramp(chest.y - surface, 0.015) * chest.side(place.side)
    chest.air *= 1 - fluid
    chest.vessels *= 1 - fluid
    chest.opacity += 0.1 * fluid


def infiltration(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """Two or three ill-defined patches of thin haze."""
    haze = np.zeros_like(chest.x)
    for _ in range(int(rng.integers(2, 4))):
        x, y = _spot(chest, place, rng, 0.09)
        haze += _bump(chest, x, y, rng.uniform(0.055, 0.08) * place.growth)
    mottle = np.clip(0.75 + 0.45 * chest.cloud(rng, 0.04), 0, 2)
    chest.opacity += (
        np.float32(rng.uniform(0.30, 0.42)) * np.minimum(haze, 1.2) * mottle * chest.lung
    )


def mass(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """One round opacity, 6–14 % of the width across, with a slightly lobed border."""
    radius = 0.5 * rng.uniform(0.065, 0.13) * min(place.growth, 1.07)
    x, y = _spot(chest, place, rng, 0.05)
    _ball(chest, x, y, radius, rng.uniform(0.5, 0.65), 0.12, rng)


def nodule(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """One round opacity, 1.5–3.5 % of the width across."""
    radius = 0.5 * rng.uniform(0.018, 0.033) * min(place.growth, 1.05)
    x, y = _spot(chest, place, rng, 0.06)
    _ball(chest, x, y, radius, rng.uniform(0.5, 0.65), 0.0, rng)


def pneumonia(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A patchy lobe with soft borders, crossed by the dark lines of air-filled bronchi."""
    lobe = _lobe(chest, place, rng, 0.10) * np.clip(0.85 + 0.35 * chest.cloud(rng, 0.09), 0.2, 1.3)
    fan = []
    for p, q in rng.uniform((0.75, -0.14), (1.0, 0.14), (5, 2)):
        end = np.array(chest.rest.point(place.side, p, ZONE_Q[place.zone] + q))
        start = np.array((place.side * HILUM_X, HILUM_Y + 0.35 * (end[1] - HILUM_Y)))
        fan.append(np.stack([start, end]))
    bronchi = chest.strokes(np.array(fan), 0.012)
    chest.vessels *= 1 - lobe
    chest.opacity += np.float32(rng.uniform(0.52, 0.66)) * lobe * (1 - 0.9 * bronchi)


def pneumothorax(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """Black air without vessels at the apex and the side, beyond the bright edge of the lung."""
    gap = rng.uniform(0.24, 0.42) * place.growth
    bottom = rng.uniform(0.75, 1.0)
    # The edge of the lung: furthest from the wall near the apex, back at the wall at the bottom.
    edge = 1 - np.float32(gap) * np.sqrt(np.clip(1 - (chest.q / bottom) ** 2, 0, 1))
    beyond = np.maximum(chest.p - edge, np.float32(0.14 * (1 + gap)) - chest.q)
    beyond = np.where(chest.q < bottom, beyond, np.float32(-1))
    side = chest.side(place.side)
    gas = ramp(beyond, 0.04) * side
    chest.vessels *= 1 - gas
    chest.air += 0.38 * gas
    chest.opacity += 0.28 * np.exp(-((beyond / 0.045) ** 2)) * side


def consolidation(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A dense, even lobe with sharp straight borders."""
    lobe = _lobe(chest, place, rng, 0.02)
    chest.vessels *= 1 - lobe
    chest.opacity += np.float32(rng.uniform(0.62, 0.78)) * lobe


def edema(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A haze like butterfly wings around both hila, and short level lines at the lower walls."""
    radius = rng.uniform(0.085, 0.11) * place.growth
    dx, dy = (chest.ax - 0.12) / radius, (chest.y - (HILUM_Y + 0.02)) / (1.25 * radius)
    far = dx * dx + dy * dy
    wings = np.exp(-0.5 * far * np.sqrt(far)) * chest.lung
    mottle = np.clip(0.9 + 0.25 * chest.cloud(rng, 0.05), 0, 2)
    chest.opacity += np.float32(rng.uniform(0.42, 0.56)) * wings * mottle
    chest.vessels *= 1 + wings
    lines = []
    for side in (-1, 1):
        for q in np.linspace(0.62, 0.96, 7) + rng.normal(0, 0.01, 7):
            x, y = chest.rest.point(side, rng.uniform(0.74, 0.82), q)
            lines.append([(x, y), (side * chest.rest.wall(y), y)])
    chest.opacity += 0.22 * chest.strokes(np.array(lines), 0.008) * chest.lung


def emphysema(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """Sparse vessels in the inflated lungs."""
    chest.vessels *= 0.55


def fibrosis(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A net of fine lines in the lower and outer zones of both lungs."""
    field = chest.cloud(rng, 0.036)
    net = np.exp(-((field / 0.28) ** 2))  # ridges along the zero lines of a random field
    where = np.clip((chest.q - 0.38) / 0.3, 0, 1) * np.clip(0.35 + chest.p, 0, 1)
    chest.opacity += np.float32(rng.uniform(0.40, 0.50)) * net * where * chest.lung


def pleural_thickening(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A bright uneven rim along the side wall, sometimes over the apex."""
    low, high = (0.0, 0.5) if place.zone == 0 else (0.28, 0.85)
    depth = rng.uniform(0.03, 0.048) * place.growth * (1 + 0.2 * chest.cloud(rng, 0.12))
    wall = chest.rest.wall(chest.y) - chest.ax
    rim = ramp(depth - wall, 0.012) * ramp(chest.q - low, 0.06) * ramp(high - chest.q, 0.06)
    chest.opacity += np.float32(rng.uniform(0.48, 0.6)) * rim * chest.side(place.side)


def hernia(chest: Chest, place: Place, rng: np.random.Generator) -> None:
    """A stomach behind the heart: a bright ring, dark gas above, a level of fluid below."""
    radius = rng.uniform(0.058, 0.08) * place.growth
    x = 0.025 + place.side * rng.uniform(0.01, 0.04)
    y = min(chest.rest.domes) - 0.45 * radius
    r = np.hypot(chest.x - np.float32(x), (chest.y - np.float32(y)) * 1.15) / np.float32(radius)
    fluid = ramp(chest.y - np.float32(y + 0.25 * radius), 0.01)
    inner = ramp(1 - r, 0.15)
    chest.overlay += inner * (0.2 * fluid - 0.62 * (1 - fluid)) + 0.42 * np.exp(
        -(((r - 1) / 0.14) ** 2)
    )


def _spot(
    chest: Chest, place: Place, rng: np.random.Generator, spread: float
) -> tuple[float, float]:
    """A point in the zone, off the mediastinum and the wall; spread is in units of p and q."""
    p = rng.uniform(0.42, 0.72)
    return chest.rest.point(place.side, p, ZONE_Q[place.zone] + rng.uniform(-spread, spread))


def _bump(chest: Chest, x: float, y: float, sigma: float) -> Map:
    dx, dy = chest.x - np.float32(x), chest.y - np.float32(y)
    return np.exp((dx * dx + dy * dy) * np.float32(-0.5 / sigma**2))


def _ball(
    chest: Chest,
    x: float,
    y: float,
    radius: float,
    density: float,
    lobes: float,
    rng: np.random.Generator,
) -> None:
    dx, dy = chest.x - np.float32(x), chest.y - np.float32(y)
    r = np.hypot(dx, dy)
    if lobes:
        turn = np.arctan2(dy, dx)
        r *= 1 + lobes * np.sin(3 * turn + rng.uniform(0, 6)) * np.sin(2 * turn + rng.uniform(0, 6))
    chest.opacity += np.float32(density) * ramp(np.float32(radius) - r, 0.008)


def _lobe(chest: Chest, place: Place, rng: np.random.Generator, edge: float) -> Map:
    """A slanted slab of one lung, 0 … 1; edge is the softness of its borders in units of q."""
    half = rng.uniform(0.13, 0.17) * place.growth
    slant = rng.uniform(0.0, 0.2) * (1 if place.zone else -1)
    off = np.abs(chest.q + np.float32(slant) * (chest.p - 0.5) - ZONE_Q[place.zone])
    inner = ramp(chest.p - np.float32(rng.uniform(-0.1, 0.2)), edge)
    return ramp(np.float32(half) - off, edge) * inner * chest.side(place.side)


Reshape = Callable[[Thorax, Place, np.random.Generator], Thorax]
Paint = Callable[[Chest, Place, np.random.Generator], None]

RESHAPE: dict[str, Reshape] = dict(
    Atelectasis=raise_dome, Cardiomegaly=widen_heart, Emphysema=inflate
)
PAINT: dict[str, Paint] = dict(
    Atelectasis=atelectasis,
    Effusion=effusion,
    Infiltration=infiltration,
    Mass=mass,
    Nodule=nodule,
    Pneumonia=pneumonia,
    Pneumothorax=pneumothorax,
    Consolidation=consolidation,
    Edema=edema,
    Emphysema=emphysema,
    Fibrosis=fibrosis,
    Pleural_Thickening=pleural_thickening,
    Hernia=hernia,
)
