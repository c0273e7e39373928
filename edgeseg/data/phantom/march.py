"""Ray marching: where each pixel's ray meets the wall and the polyps."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Floats
from edgeseg.data.phantom.polyps import Polyp
from edgeseg.data.phantom.tunnel import Tunnel

REACH = 9.0


def lens(width: int, height: int, half_angle: float) -> Floats:
    """Directions of the pixels' rays, float32 [3, H, W], unit length, z forward.

    An equidistant wide-angle lens (angle proportional to the distance from the middle), as endoscopes have.

    Args:
        width, height: pixels.
        half_angle: at the left and right edge, in radians.
    """
    unit = np.float32(half_angle / (width / 2))
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None, :] * unit
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2)[:, None] * unit
    angle = np.hypot(x, y) + np.float32(1e-6)
    ratio = np.sin(angle) / angle
    return np.stack([x * ratio, y * ratio, np.cos(angle)]).astype(np.float32)


def wall_depth(tunnel: Tunnel, eye: Floats, rays: Floats) -> Floats:
    """Length of each ray to the wall, float32 [H, W].

    First on every fourth pixel from the camera, then on all of them from a little before the nearest of those.

    Args:
        tunnel: the tube.
        eye: float32 [3].
        rays: float32 [3, H, W], unit length, in space.
    """
    coarse = np.ascontiguousarray(rays[:, 1::4, 1::4])
    depth = np.full(coarse.shape[1:], 0.03, np.float32)
    for _ in range(36):
        depth += np.float32(0.5) * _gap(tunnel, eye, coarse, depth)
        np.clip(depth, 0.02, REACH, out=depth)
    near = cv2.erode(depth, np.ones((3, 3), np.uint8))
    depth = cv2.resize(
        near, (rays.shape[2], rays.shape[1]), interpolation=cv2.INTER_LINEAR
    )
    depth = depth * np.float32(0.985)
    for _ in range(7):
        depth += np.float32(0.65) * _gap(tunnel, eye, rays, depth)
    return np.clip(depth, 0.02, REACH)


def _gap(tunnel: Tunnel, eye: Floats, rays: Floats, depth: Floats) -> Floats:
    x, y, z = (eye[k] + rays[k] * depth for k in range(3))
    rho, theta = tunnel.cylinder(x, y, z)
    return tunnel.radius(theta, z) - rho


def polyp_depth(
    polyp: Polyp, grown: float, eye: Floats, rays: Floats
) -> tuple[Floats, Floats]:
    """Where rays meet a polyp.

    Args:
        polyp: the polyp.
        grown: its size, 0 to 1.
        eye: float32 [3].
        rays: float32 [3, H, W].

    Returns:
        Flat indexes of the pixels that meet it, intp [N], and the length of their rays, float32 [N].
    """
    bound = polyp.bound * grown
    to = polyp.base - eye
    middle = to[0] * rays[0] + to[1] * rays[1] + to[2] * rays[2]
    room = middle * middle - np.float32(to @ to - bound * bound)
    chosen = np.flatnonzero((room > 0) & (middle > -bound))
    half = np.sqrt(room.ravel()[chosen])
    depth = np.maximum(middle.ravel()[chosen] - half, 0.02)
    leave = middle.ravel()[chosen] + half
    q0 = polyp.local(eye[None])
    ray = rays.reshape(3, -1)[:, chosen].T @ polyp.axes.T
    gap = np.full(chosen.shape, np.float32(1.0))
    live = np.arange(chosen.size)
    for _ in range(24):
        gap[live] = polyp.distance(q0 + ray[live] * depth[live, None], grown)
        depth[live] += np.float32(0.9) * gap[live]
        live = live[(np.abs(gap[live]) > 0.002) & (depth[live] < leave[live])]
        if not live.size:
            break
    hit = (np.abs(gap) < 0.006) & (depth < leave)
    return chosen[hit], depth[hit].astype(np.float32)
