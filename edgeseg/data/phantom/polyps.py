"""Polyps: a few merged ellipsoids on the wall, as signed distance fields.

The distance to an ellipsoid and the smooth minimum are those of Quilez, "distance functions" and "smooth minimum"
(iquilezles.org/articles): bounds rather than exact distances, which is all that ray marching needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeseg.data.phantom.clip import Floats
from edgeseg.data.phantom.tunnel import Tunnel

# How far a polyp may rise from the wall.
_HIGHEST = 0.6


@dataclass(frozen=True)
class Polyp:
    """One polyp, lengths in tube radii.

    Attributes:
        base: float32 [3], where it sits on the wall.
        axes: float32 [3, 3], rows: two directions in the wall and the one into the lumen.
        centres, radii: float32 [lobes, 3], ellipsoids in those axes.
        bound: radius of the ball around ``base`` that holds it all.
        fillet: width of the soft transition into the wall.
        ripple: float32 [2, 3], frequency and phase of the unevenness; ``uneven`` its height.
        tint: float32 [3], factor on the mucosa's mean colour, BGR.
        spots: contrast of its surface pattern.
    """

    base: Floats
    axes: Floats
    centres: Floats
    radii: Floats
    bound: float
    fillet: float
    ripple: Floats
    uneven: float
    tint: Floats
    spots: float

    def local(self, points: Floats) -> Floats:
        """float32 [N, 3] in space to the polyp's own axes."""
        return np.asarray((points - self.base) @ self.axes.T, np.float32)

    def distance(self, q: Floats, grown: float) -> Floats:
        """Signed distance bound, float32 [N], of float32 [N, 3] in own axes; ``grown`` 0 to 1 scales the polyp."""
        p = q / np.float32(grown)
        total = np.full(len(q), np.inf, np.float32)
        for number, (centre, radii) in enumerate(zip(self.centres, self.radii, strict=True)):
            unit = (p - centre) / radii
            k0 = np.sqrt(np.einsum("ij,ij->i", unit, unit))
            steep = unit / radii
            k1 = np.sqrt(np.einsum("ij,ij->i", steep, steep)) + np.float32(1e-6)
            lobe = k0 * (k0 - 1) / k1
            if number == 0:
                total = lobe
            else:
                k = np.float32(0.05)
                h = np.maximum(k - np.abs(total - lobe), 0) / k
                total = np.minimum(total, lobe) - h * h * k * np.float32(0.25)
        waves = np.sin(p * self.ripple[0] + self.ripple[1])
        total = total + np.float32(self.uneven) * waves[:, 0] * waves[:, 1] * waves[:, 2]
        return np.asarray(total * np.float32(grown), np.float32)

    def blend(self, own: Floats, gap: Floats, grown: float) -> tuple[Floats, Floats]:
        """The surface that polyp and wall make together.

        Args:
            own: float32 [N], distance bound to the polyp.
            gap: float32 [N], radial distance to the wall.
            grown: size, 0 to 1.

        Returns:
            Distance bound to both with a fillet between, and share of the polyp in it (0 to 1, above 0.5 where it is
            the nearer); each float32 [N].
        """
        # Radial distance overstates the true one on slopes.
        wall = gap * np.float32(0.6)
        k = np.float32(self.fillet * grown)
        share = np.clip(0.5 + 0.5 * (wall - own) / k, 0, 1)
        field = wall + (own - wall) * share - k * share * (1 - share)
        return field, share


def build_polyp(rng: np.random.Generator, tunnel: Tunnel, z: float, theta: float) -> Polyp:
    """Draws a polyp that sits on the wall at ``z``, ``theta``: dome, flat, lobed or on a short stalk."""
    at = np.array([[z]], np.float32)
    angle = np.array([[theta]], np.float32)
    radius = float(tunnel.radius(angle, at)[0, 0])
    cx, cy = (float(c[0, 0]) for c in tunnel.centre(at))
    out = np.array([np.cos(theta), np.sin(theta), 0.0])
    base = np.array([cx, cy, z]) + out * radius
    inward = -out + np.array([0, 0, rng.uniform(-0.3, 0.15)])
    inward /= np.linalg.norm(inward)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.array([0.0, 0.0, 1.0]) - inward[2] * inward
    along /= np.linalg.norm(along)
    across = np.cross(inward, along)
    first = np.cos(turn) * along + np.sin(turn) * across
    second = np.cross(inward, first)

    size = rng.uniform(0.3, 0.58)
    oval = rng.uniform(0.75, 1.3)
    kind = rng.choice(["dome", "flat", "lobed", "stalk"], p=[0.4, 0.15, 0.25, 0.2])
    centres, radii = (
        [[0.0, 0.0, 0.0]],
        [[size, size * oval, size * rng.uniform(0.55, 0.95)]],
    )
    if kind == "flat":
        radii[0] = [size * 1.15, size * 1.15 * oval, size * rng.uniform(0.32, 0.45)]
    elif kind == "lobed":
        for _ in range(int(rng.integers(2, 5))):
            a = rng.uniform(0, 2 * np.pi)
            part = size * rng.uniform(0.45, 0.75)
            centres.append(
                [
                    size * 0.6 * np.cos(a),
                    size * 0.6 * np.sin(a),
                    size * rng.uniform(0.1, 0.6),
                ]
            )
            radii.append([part, part * rng.uniform(0.8, 1.2), part])
    elif kind == "stalk":
        ball = size * 0.85
        tilt = rng.uniform(-0.25, 0.25, 2)
        centres = [
            [0.0, 0.0, 0.0],
            [tilt[0] * ball, tilt[1] * ball, ball * rng.uniform(0.9, 1.25)],
        ]
        radii = [
            [ball * 0.5, ball * 0.5, ball * 1.3],
            [ball, ball * oval, ball * rng.uniform(0.8, 1.0)],
        ]
    # The camera needs room to pass.
    top = max(c[2] + r[2] for c, r in zip(centres, radii, strict=True))
    fit = min(1.0, _HIGHEST / top)
    centres, radii = ([[fit * v for v in lobe] for lobe in lobes] for lobes in (centres, radii))
    size *= fit
    reach = max(float(np.linalg.norm(c)) + max(r) for c, r in zip(centres, radii, strict=True))
    # Redder or paler than the mucosa around it.
    tone = rng.random()
    red = rng.uniform(0.25, 0.5) if tone < 0.94 else rng.uniform(0.05, 0.15)
    light = rng.uniform(0.88, 1.08) if tone < 0.94 else rng.uniform(1.1, 1.25)
    tint = light * np.array([1 - 0.8 * red, 1 - red, 1 + 0.12 * red])
    return Polyp(
        base=base.astype(np.float32),
        axes=np.stack([first, second, inward]).astype(np.float32),
        centres=np.array(centres, np.float32),
        radii=np.array(radii, np.float32),
        bound=reach * 1.25,
        fillet=float(size * rng.uniform(0.12, 0.4)),
        ripple=np.stack([rng.uniform(5, 11, 3) * 0.35 / size, rng.uniform(0, 6.3, 3)]).astype(np.float32),
        uneven=float(size * rng.uniform(0.03, 0.1)),
        tint=tint.astype(np.float32),
        spots=float(rng.uniform(0.03, 0.15)),
    )
