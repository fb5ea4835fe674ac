"""Toy anatomy of the thorax phantom: a frontal chest as maps of attenuation, before any finding.

Lengths are in widths of the image. Body coordinates have x = 0 on the midline (negative is left in
the image, the patient's right) and y = 0 … 1 from the top to the bottom; `Pose` lays them over the
pixels. Attenuation is in units of mu × thickness, so that exp(-attenuation) is the transmission.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating[Any]]  # (size, size), float32
Number = TypeVar('Number', float, Map)

HILUM_X, HILUM_Y = 0.075, 0.41  # where the vessels and bronchi enter the lungs
DOME_X = 0.17  # |x| of the top of each diaphragm dome


def ramp(distance: Map, width: float) -> Map:
    """A soft edge: 0 below -width/2, 1 above width/2, linear between."""
    out = distance * np.float32(1 / width)
    out += np.float32(0.5)
    return np.clip(out, 0, 1, out=out)


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Map, Map]:
    centers = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = np.meshgrid(centers, centers)
    return x, y


class Pose(NamedTuple):
    """How the body lies in the image: shift in widths, turn in radians, scale around the center."""

    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    scale: float = 1.0

    def body(self, size: int) -> tuple[Map, Map]:
        """Body coordinates (x, y) of every pixel center, two maps (size, size)."""
        u, v = _grid(size)
        u, v = u - np.float32(self.dx), v - np.float32(self.dy)
        cos, sin = (
            np.float32(np.cos(self.turn) / self.scale),
            np.float32(np.sin(self.turn) / self.scale),
        )
        return cos * u + sin * v, cos * v - sin * u + np.float32(0.5)

    def pixels(self, points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """The inverse for points (..., 2): body coordinates to pixels of a (size, size) image."""
        x, y = points[..., 0], points[..., 1] - 0.5
        cos, sin = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        u, v = cos * x - sin * y + self.dx, sin * x + cos * y + self.dy
        return np.stack([u + 0.5, v + 0.5], axis=-1) * size - 0.5


@dataclass(frozen=True)
class Thorax:
    """Shape of one patient's chest; the findings that reshape it replace some of these."""

    half_width: float = 0.355  # of the inner rib cage at its widest
    apex: float = 0.13  # y of the tops of the lungs
    domes: tuple[float, float] = (
        0.70,
        0.72,
    )  # y of the two diaphragm domes, left one in the image first
    arch: float = 0.07  # how far the angles next to the ribs lie below the dome
    heart_ratio: float = 0.43  # cardio-thoracic ratio: heart width / inner width of the rib cage
    heart_y: float = 0.61
    lucency: float = 0.66  # share of the tissue's attenuation that air in the lung takes away
    tissue: float = 1.65  # attenuation of the soft tissue at its thickest
    flank: float = 0.09  # soft tissue between rib cage and skin
    breast: float = 0.0  # attenuation
    bubble: float = 0.3  # attenuation that gas in the stomach takes away
    rib_phase: float = 0.0
    rib_gap: float = 0.07
    rib: float = 0.16  # attenuation

    def wall(self, y: Number) -> Number:
        """|x| of the inner chest wall at height y, widest towards y = 0.8."""
        t = np.clip((y - self.apex) / (0.80 - self.apex), 0, 1)
        return self.half_width * np.sqrt(1 - (1 - t) ** 2 * np.sqrt(1 - t))

    def middle(self, y: Number) -> Number:
        """|x| of the border between mediastinum and lung at height y."""
        return 0.052 + 0.025 * np.exp(-(((y - HILUM_Y) / 0.09) ** 2))

    def diaphragm(self, x: Map) -> Map:
        """Height y of the diaphragm over x."""
        dome = np.where(x < 0, np.float32(self.domes[0]), np.float32(self.domes[1]))
        return dome + np.float32(self.arch / 0.19**2) * (np.abs(x) - np.float32(DOME_X)) ** 2

    def point(self, side: int, p: float, q: float) -> tuple[float, float]:
        """Body coordinates of a place in a lung.

        Args:
            side: -1 for the lung that is left in the image, 1 for the right one.
            p: 0 at the mediastinum … 1 at the chest wall.
            q: 0 at the apex … 1 at the dome of the diaphragm.
        """
        y = self.apex + q * (self.domes[int(side > 0)] - self.apex)
        middle, wall = float(self.middle(y)), float(self.wall(y))
        return side * (middle + p * (wall - middle)), y


class Chest:
    """A chest to paint findings on, as maps (size, size).

    Args:
        rest: the patient's own shape. Places of findings and textures hang on it, so that they do
            not move when another finding reshapes the chest.
        shape: the shape with the findings that reshape it.
        pose: how the body lies in the image.
        size: pixels a side.
    """

    def __init__(self, rest: Thorax, shape: Thorax, pose: Pose, size: int) -> None:
        self.rest, self.shape, self.pose, self.size = rest, shape, pose, size
        self.x, self.y = pose.body(size)
        self.ax = np.abs(self.x)
        wall, middle = rest.wall(self.y), rest.middle(self.y)
        dome = np.where(self.x < 0, np.float32(rest.domes[0]), np.float32(rest.domes[1]))
        self.p = (self.ax - middle) / np.maximum(wall - middle, np.float32(0.02))
        self.q = (self.y - np.float32(rest.apex)) / (dome - np.float32(rest.apex))
        self.floor = shape.diaphragm(self.x)
        inside = (wall if shape.half_width == rest.half_width else shape.wall(self.y)) - self.ax
        self.lung = (
            ramp(inside, 0.01) * ramp(self.ax - middle, 0.012) * ramp(self.floor - self.y, 0.012)
        )
        self.air = self.lung * np.clip(0.72 + 2.5 * inside, 0, 1)  # thinner towards the wall
        self.vessels = self.lung.copy()  # weight of the lung's own texture
        self.opacity = np.zeros_like(self.x)  # attenuation that findings add in the lungs …
        self.overlay = np.zeros_like(self.x)  # … and anywhere, over the heart too
        self._inside = inside
        self._build()

    def copy(self) -> 'Chest':
        """A chest that can be painted on without changing this one."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for name in ('air', 'vessels', 'opacity', 'overlay'):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def side(self, side: int) -> Map:
        """The lung of one side, 0 … 1."""
        return self.lung * (self.x * side > 0)

    def strokes(self, lines: NDArray[np.float64], width: float) -> Map:
        """Lines (lines, points, 2) in body coordinates, drawn with a width; 0 … 1."""
        fine = 2 * self.size
        canvas = np.zeros((fine, fine), np.uint8)
        points = np.round(self.pose.pixels(lines, fine) * 16).astype(np.int32)  # 1/16 pixel
        pixels = max(1, round(width * self.pose.scale * fine))
        cv2.polylines(canvas, list(points), False, 255, pixels, cv2.LINE_AA, shift=4)
        small = cv2.resize(canvas, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / np.float32(255)

    def cloud(self, rng: np.random.Generator, cell: float) -> Map:
        """Smooth random field of about unit variance with features as wide as a cell."""
        cells = round(1 / cell)
        coarse = rng.standard_normal((cells, cells)).astype(np.float32) * np.float32(1.3)
        field = cv2.resize(coarse, (self.size, self.size), interpolation=cv2.INTER_CUBIC)
        return np.asarray(field, np.float32)

    def attenuation(self, vessels: Map) -> Map:
        """Everything along the beam, after the findings have been painted.

        Args:
            vessels: attenuation of the lungs' vessels where nothing hides them.
        """
        in_lung = self.vessels * vessels + self.opacity - self._depth * self.air
        return np.maximum(self._solid + self._next_to_heart * in_lung + self.overlay, 0)

    def _heart(self) -> Map:
        """Thickness of the heart, 0 … 1: an ellipse that leans to the right of the image."""
        shape = self.shape
        width = 2 * shape.half_width * shape.heart_ratio
        half = np.where(self.x < 0, np.float32(0.37 * width), np.float32(0.63 * width))
        height = 0.155 * (shape.heart_ratio / 0.43) ** 0.5
        dy = (self.y - np.float32(shape.heart_y)) * np.float32(1 / height)
        # Below its middle it is boxy, as it lies on the diaphragm; above it narrows to the vessels.
        dx = (self.x - np.float32(0.025) * dy) / (half * (1 + 0.1 * np.clip(dy, -1.5, 1)))
        square = dy * dy
        inner = 1 - dx * dx - np.where(dy > 0, square * square, square)
        return np.clip(inner * 3, 0, 1)

    def _bones(self) -> Map:
        """Attenuation of ribs, clavicles and spine."""
        ax, y, rest = self.ax, self.y, self.rest
        cage = ramp(self._inside + 0.012, 0.02) * ramp(ax - 0.05, 0.05)
        cage *= ramp(y - (rest.apex + 0.01), 0.04) * ramp(max(rest.domes) + 0.11 - y, 0.12)
        turn = np.float32(2 * np.pi)
        back = np.cos(turn * ((y + 0.10 * ax - 1.0 * ax * ax) / rest.rib_gap + rest.rib_phase))
        front = np.cos(turn * ((y + 0.55 * ax) / (1.15 * rest.rib_gap) - rest.rib_phase))
        ribs = ramp(back - 0.35, 0.7) + 0.45 * ramp(front - 0.3, 0.8) * ramp(ax - 0.15, 0.08)
        clavicle = np.abs(y - (rest.apex + 0.085 - 0.28 * ax + 0.30 * ax * ax))
        clavicle = ramp(0.013 - clavicle, 0.012) * ramp(ax - 0.035, 0.02) * ramp(0.34 - ax, 0.06)
        spine = ramp(0.034 - ax, 0.02) * (0.8 + 0.2 * np.cos(turn * y / 0.052))
        return rest.rib * (cage * ribs + 1.3 * clavicle) + 0.16 * spine

    def _build(self) -> None:
        """What no finding paints over: tissue and bones, and the share the heart leaves free."""
        ax, y, rest = self.ax, self.y, self.rest
        torso = rest.half_width + rest.flank
        slope = np.clip((y - np.float32(rest.apex - 0.13)) * np.float32(1 / 0.14), 0, 1)
        arms = np.clip((0.55 - y) * 4, 0, 1)
        skin = np.minimum(0.14 + 0.44 * slope * (2 - slope), torso + (0.52 - torso) * arms)
        tissue = np.sqrt(np.clip(1 - (ax / skin) ** 2, 0, 1))
        tissue *= np.float32(rest.tissue)
        heart = self._heart()
        middle = ramp(rest.middle(y) + 0.004 - ax, 0.03) * ramp(y - 0.1, 0.1)
        knob = ramp(0.045 - np.hypot(self.x - 0.045, y - 0.295), 0.02)
        trachea = ramp(0.016 - ax, 0.012) * ramp(0.36 - y, 0.05)
        solid = tissue + self._bones() + 0.12 * heart
        solid += 0.14 * np.maximum(middle, knob) - 0.25 * trachea
        below = ramp(y - self.floor, 0.014) * ramp(self._inside + 0.02, 0.05)
        solid += 0.30 * below * np.clip(0.6 + 2 * (y - self.floor), 0, 1)
        bubble = np.hypot((self.x - 0.19) / 1.6, y - np.float32(rest.domes[1] + 0.065))
        solid -= np.float32(rest.bubble) * ramp(0.03 - bubble, 0.012)
        if rest.breast:
            breast = ramp(0.125 - np.hypot(ax - 0.20, (y - 0.60) * 1.1), 0.03)
            solid += rest.breast * breast * np.clip((y - 0.46) * 5, 0, 1)
        self._solid = solid
        self._depth = tissue * np.float32(self.shape.lucency)
        self._next_to_heart = 1 - np.float32(0.9) * heart


def vessel_tree(rng: np.random.Generator, rest: Thorax) -> list[NDArray[np.float64]]:
    """Vessels that branch from both hila: one array (branches, 6, 2) for each of three levels."""
    n = 8
    out = np.concatenate([np.linspace(-1.35, 1.25, n)] * 2) + rng.normal(0, 0.1, 2 * n)
    side = np.repeat([-1.0, 1.0], n)
    start = np.stack([side * HILUM_X, HILUM_Y + 0.05 * np.sin(out)], axis=-1)
    length = rng.uniform(0.16, 0.26, 2 * n) * np.where(np.abs(out) > 0.9, 1.2, 1.0)
    levels = []
    for children in (3, 2, 0):
        bend = rng.normal(0, 0.12, (len(out), 5)).cumsum(axis=1) + out[:, None]
        steps = np.stack([side[:, None] * np.cos(bend), np.sin(bend)], axis=-1)
        steps *= (length / 5)[:, None, None]
        lines = np.concatenate([start[:, None], start[:, None] + steps.cumsum(axis=1)], axis=1)
        levels.append(lines)
        if children:
            rows = np.repeat(np.arange(len(out)), children)
            joints = np.tile(np.arange(1, 1 + children) + (children == 2), len(out))
            turns = rng.uniform(0.35, 0.8, len(rows)) * rng.choice([-1, 1], len(rows))
            start, out = lines[rows, joints], bend[rows, joints] + turns
            side, length = side[rows], 0.55 * length[rows] * rng.uniform(0.7, 1.2, len(rows))
    return levels
