"""Ray marching: where each pixel's ray meets the wall and the polyps."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Floats
from edgeseg.data.phantom.polyps import Polyp
from edgeseg.data.phantom.tunnel import Tunnel

REACH = 9.0
_ROW = 256


def lens(width: int, height: int, half_angle: float) -> Floats:
    """Directions of the pixels' rays, float32 [3, H, W], unit length, z forward.

    An equidistant wide-angle lens (angle proportional to the distance from the middle), as endoscopes have.

    Args:
        width: pixels.
        height: pixels.
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
    rough = np.full(coarse.shape[1:], 0.03, np.float32)
    for _ in range(36):
        rough += np.float32(0.5) * _gap(tunnel, eye, coarse, rough)
        np.clip(rough, 0.02, REACH, out=rough)
    near = cv2.erode(rough, np.ones((3, 3), np.uint8))
    near = cv2.resize(near, (rays.shape[2], rays.shape[1]), interpolation=cv2.INTER_LINEAR)
    depth = np.asarray(near, np.float32) * np.float32(0.985)
    for _ in range(6):
        gap = _gap(tunnel, eye, rays, depth)
        depth += np.float32(0.65) * gap
    # Rays that graze a crest need more steps; they are few.
    late = np.flatnonzero(np.abs(gap) > 0.01)
    if late.size:
        rest = rays.reshape(3, -1)[:, late]
        far = depth.ravel()[late]
        for _ in range(24):
            far += np.float32(0.5) * wall_gap(tunnel, *(eye[k] + rest[k] * far for k in range(3)))
        depth.ravel()[late] = far
    return np.asarray(np.clip(depth, 0.02, REACH), np.float32)


def _gap(tunnel: Tunnel, eye: Floats, rays: Floats, depth: Floats) -> Floats:
    x, y, z = (eye[k] + rays[k] * depth for k in range(3))
    rho, theta = tunnel.cylinder(x, y, z)
    return tunnel.radius(theta, z) - rho


def wall_gap(tunnel: Tunnel, x: Floats, y: Floats, z: Floats) -> Floats:
    """Radial distance to the wall, above 0 in the lumen, of float32 [N] points."""
    # cv2.remap takes no side of 32768 or more, so the points are laid out in rows.
    rows = -(-x.size // _ROW)
    fill = rows * _ROW - x.size
    square = [np.pad(v, (0, fill), mode="edge").reshape(rows, _ROW) for v in (x, y, z)]
    rho, theta = tunnel.cylinder(*square)
    return (tunnel.radius(theta, square[2]) - rho).ravel()[: x.size]


def polyp_depth(tunnel: Tunnel, polyp: Polyp, grown: float, eye: Floats, rays: Floats, depth: Floats) -> None:
    """Shortens ``depth`` float32 [H, W], in place, where rays meet a polyp or the fillet between it and the wall.

    Args:
        tunnel: the tube.
        polyp: the polyp.
        grown: its size, 0 to 1.
        eye: float32 [3].
        rays: float32 [3, H, W].
        depth: length of each ray to what is known so far.
    """
    bound = polyp.bound * grown
    to = polyp.base - eye
    middle = to[0] * rays[0] + to[1] * rays[1] + to[2] * rays[2]
    room = middle * middle - np.float32(to @ to - bound * bound)
    half = np.sqrt(np.maximum(room, 0))
    live = np.flatnonzero((room > 0) & (middle + half > 0) & (middle - half < depth))
    enter = np.maximum((middle - half).ravel()[live], 0.02)
    leave = np.minimum((middle + half).ravel()[live], depth.ravel()[live])
    ray = np.ascontiguousarray(rays.reshape(3, -1)[:, live])
    half_fillet = np.float32(0.5 * polyp.fillet * grown)
    for _ in range(32):
        if not live.size:
            return
        x, y, z = (eye[k] + ray[k] * enter for k in range(3))
        own = polyp.distance(polyp.local(np.stack([x, y, z], axis=1)), grown)
        # Farther than the fillet is wide there is only the wall, which is known already.
        field = own - half_fillet
        close = np.flatnonzero(own < 2 * half_fillet)
        if close.size:
            gap = wall_gap(tunnel, x[close], y[close], z[close])
            field[close], _ = polyp.blend(own[close], gap, grown)
        met = field < 0.003
        place = live[met]
        depth.ravel()[place] = np.minimum(depth.ravel()[place], enter[met])
        enter = enter + np.float32(0.85) * field
        going = ~met & (enter < leave)
        live, enter, leave, ray = live[going], enter[going], leave[going], ray[:, going]
    # Rays still under way graze the surface: where they are is where it is.
    depth.ravel()[live] = np.minimum(depth.ravel()[live], enter)
