"""Light on what the rays met: a lamp beside the lens, wet mucosa, polyps with their own surface."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Bytes, Floats
from edgeseg.data.phantom.journey import View
from edgeseg.data.phantom.march import polyp_depth, wall_depth
from edgeseg.data.phantom.polyps import Polyp
from edgeseg.data.phantom.tunnel import (
    Tunnel,
    look_up_albedo,
    look_up_grain,
    look_up_wall,
)


@dataclass(frozen=True)
class Lamp:
    """The light source and how the mucosa answers to it.

    Attributes:
        offset: float32 [3], lamp in camera axes, tube radii.
        colour: float32 [3], BGR.
        gloss: exponent of the highlights; ``shine`` their strength.
        rough: slope of the fine relief.
        falloff: distance below which the light hardly gets stronger.
        level: brightness that the automatic exposure aims at.
    """

    offset: Floats
    colour: Floats
    gloss: float
    shine: float
    rough: float
    falloff: float
    level: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Lamp:
        """A lamp from the generator."""
        angle = rng.uniform(0, 2 * np.pi)
        return Lamp(
            offset=(0.09 * np.array([np.cos(angle), np.sin(angle), 0])).astype(
                np.float32
            ),
            colour=np.array(
                [rng.uniform(0.82, 1.08), rng.uniform(0.92, 1.04), 1.0], np.float32
            ),
            gloss=float(rng.uniform(120, 400)),
            shine=float(rng.uniform(1.5, 5.0)),
            rough=float(rng.uniform(0.08, 0.24)),
            falloff=float(rng.uniform(0.5, 1.0)),
            level=float(rng.uniform(0.5, 1.0)),
        )

    def exposure(self, light: Floats) -> np.float32:
        """What ``light`` float32 [H, W, 3] is divided by, as the camera's automatic exposure would."""
        sample = light[::8, ::8].mean(axis=2)
        return np.float32(
            (0.5 * sample.mean() + 0.5 * np.median(sample) + 1e-4) / self.level
        )


def shade(tunnel: Tunnel, view: View, rays: Floats, lamp: Lamp) -> tuple[Floats, Bytes]:
    """Light that reaches each pixel.

    Args:
        tunnel: the tube.
        view: camera and polyps.
        rays: float32 [3, H, W] in space.
        lamp: the light.

    Returns:
        Linear light float32 [H, W, 3], BGR, of any scale, and uint8 [H, W], 1 where a polyp is seen.
    """
    eye = view.eye.astype(np.float32)
    depth = wall_depth(tunnel, eye, rays)
    point = eye[:, None, None] + rays * depth
    rho, theta = tunnel.cylinder(*point)
    wall = look_up_wall(tunnel, theta, point[2])
    skin = tunnel.skin(theta, point[2])
    grain = look_up_grain(tunnel, theta, skin)
    albedo = look_up_albedo(tunnel, theta, skin).astype(np.float32) * np.float32(
        1 / 255
    )
    albedo *= (1 + np.float32(0.035) * grain[..., 2])[..., None]
    normal = _wall_normal(tunnel, point, rho, theta, wall, grain, lamp.rough)
    ambient = np.ascontiguousarray(wall[..., 3])
    truth = np.zeros(depth.shape, np.uint8)
    mean = tunnel.albedo[::32, ::32].reshape(-1, 3).mean(axis=0) / np.float32(255)
    for polyp, grown in view.polyps:
        pixels, length = polyp_depth(polyp, grown, eye, rays)
        nearer = length < depth.ravel()[pixels]
        pixels, length = pixels[nearer], length[nearer]
        _foot(polyp, grown, mean, point, albedo, ambient)
        if not pixels.size:
            continue
        _put_polyp(
            polyp,
            grown,
            eye,
            rays,
            pixels,
            length,
            mean,
            (depth, point, normal, albedo, ambient),
        )
        truth.ravel()[pixels] = 1
    return _lit(view, point, normal, albedo, ambient, lamp), truth


def _wall_normal(
    tunnel: Tunnel,
    point: Floats,
    rho: Floats,
    theta: Floats,
    wall: Floats,
    grain: Floats,
    rough: float,
) -> Floats:
    """Gradient of radius(theta, z) - rho, made unit length: into the lumen; float32 [3, H, W]."""
    cos, sin = np.cos(theta), np.sin(theta)
    sx, sy = tunnel.slope(point[2])
    around = (wall[..., 1] + np.float32(rough) * grain[..., 0]) / np.maximum(
        rho, np.float32(0.2)
    )
    along = wall[..., 2] + np.float32(rough) * grain[..., 1] + sx * cos + sy * sin
    normal = np.stack([-cos - around * sin, -sin + around * cos, along])
    normal /= np.sqrt(1 + around * around + along * along)
    return np.asarray(normal, np.float32)


def _foot(polyp: Polyp, grown: float, mean: Floats, point: Floats, albedo: Floats, ambient: Floats) -> None:
    """Shades and tints the wall close to a polyp's foot, in place: nothing grows out of a hard line."""
    off = point - polyp.base[:, None, None]
    reach = np.float32(polyp.bound * grown * 1.25)
    near = np.flatnonzero((off * off).sum(axis=0) < reach * reach)
    if near.size:
        gap = polyp.distance(polyp.local(point.reshape(3, -1)[:, near].T), grown)
        ambient.ravel()[near] *= np.clip(np.float32(0.72) + gap * np.float32(3), 0.72, 1)
        share = np.float32(0.45) * np.clip(1 - gap / np.float32(0.07), 0, 1)[:, None]
        wall = albedo.reshape(-1, 3)
        wall[near] += share * (mean * polyp.tint - wall[near])


def _put_polyp(
    polyp: Polyp,
    grown: float,
    eye: Floats,
    rays: Floats,
    pixels: Floats,
    length: Floats,
    mean: Floats,
    into: tuple[Floats, Floats, Floats, Floats, Floats],
) -> None:
    depth, point, normal, albedo, ambient = into
    where = eye + rays.reshape(3, -1)[:, pixels].T * length[:, None]
    q = polyp.local(where)
    step = np.float32(0.006)
    # Four corners of a tetrahedron give the gradient with four distances instead of six.
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    slope = sum(
        corner * polyp.distance(q + step * corner, grown)[:, None] for corner in corners
    )
    fine = np.sin(
        q * np.float32(70) + np.float32(1.7) * np.sin(q[:, [1, 2, 0]] * np.float32(43))
    )
    own = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    own = own + np.float32(0.05) * fine[:, [2, 0, 1]]
    out = own @ polyp.axes
    # Near its foot the polyp's surface runs over into the wall's.
    foot = np.clip(q[:, 2] / np.float32(0.07 * grown), 0, 1)[:, None]
    under = normal.reshape(3, -1)[:, pixels].T
    out = foot * out + (1 - foot) * (0.5 * out + 0.5 * under)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    tint = (
        mean
        * polyp.tint
        * (1 + np.float32(polyp.spots) * (fine[:, :1] * fine[:, 1:2] + fine[:, 2:]))
    )
    for target, value in ((point, where), (normal, out)):
        target.reshape(3, -1)[:, pixels] = value.T
    wall_tint = albedo.reshape(-1, 3)[pixels]
    share = np.float32(0.5) + np.float32(0.5) * foot
    albedo.reshape(-1, 3)[pixels] = share * tint + (1 - share) * wall_tint
    depth.ravel()[pixels] = length
    ambient.ravel()[pixels] = np.clip(
        np.float32(0.75) + q[:, 2] * np.float32(1.5), 0.6, 1
    )


def _lit(
    view: View,
    point: Floats,
    normal: Floats,
    albedo: Floats,
    ambient: Floats,
    lamp: Lamp,
) -> Floats:
    eye = view.eye.astype(np.float32)
    source = eye + lamp.offset @ view.axes.astype(np.float32)
    to_lamp = source[:, None, None] - point
    away = np.sqrt((to_lamp * to_lamp).sum(axis=0)) + np.float32(1e-4)
    to_lamp /= away
    to_eye = eye[:, None, None] - point
    to_eye /= np.sqrt((to_eye * to_eye).sum(axis=0)) + np.float32(1e-4)
    facing = (normal * to_lamp).sum(axis=0)
    # Light scatters inside tissue, so that it reaches a little round the edge.
    diffuse = (
        np.maximum((facing + np.float32(0.35)) / np.float32(1.35), np.float32(0.03))
        * ambient
    )
    half = to_lamp + to_eye
    half /= np.sqrt((half * half).sum(axis=0)) + np.float32(1e-4)
    mirror = np.clip((normal * half).sum(axis=0), 0, 1)
    strength = 1 / (np.float32(lamp.falloff**2) + away * away)
    gleam = np.float32(lamp.shine) * cv2.pow(mirror, lamp.gloss) * strength
    # Far tissue is lit through more tissue: the dark turns red-brown, not grey.
    murk = np.stack([np.exp(-away * np.float32(k)) for k in (0.16, 0.13, 0.05)], axis=2)
    light = albedo * murk * (diffuse * strength)[..., None]
    light += gleam[..., None]
    return np.asarray(light * lamp.colour, np.float32)
