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
            offset=(0.09 * np.array([np.cos(angle), np.sin(angle), 0])).astype(np.float32),
            colour=np.array([rng.uniform(0.82, 1.08), rng.uniform(0.92, 1.04), 1.0], np.float32),
            gloss=float(rng.uniform(120, 400)),
            shine=float(rng.uniform(1.0, 3.5)),
            rough=float(rng.uniform(0.08, 0.24)),
            falloff=float(rng.uniform(0.6, 1.1)),
            level=float(rng.uniform(0.5, 1.0)),
        )

    def exposure(self, light: Floats) -> np.float32:
        """What ``light`` float32 [H, W, 3] is divided by, as the camera's automatic exposure would."""
        sample = light[::8, ::8].mean(axis=2)
        usual = (0.5 * sample.mean() + 0.5 * np.median(sample)) / self.level
        # What is near is protected from burning out, as long as it is more than a few highlights.
        return np.float32(max(usual, np.quantile(sample, 0.93) / 1.5) + 1e-4)


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
    for polyp, grown in view.polyps:
        polyp_depth(tunnel, polyp, grown, eye, rays, depth)
    point = eye[:, None, None] + rays * depth
    rho, theta = tunnel.cylinder(*point)
    skin = tunnel.skin(theta, point[2])
    wall = look_up_wall(tunnel, theta, point[2])
    grain = look_up_grain(tunnel, theta, skin)
    albedo = look_up_albedo(tunnel, theta, skin).astype(np.float32) * np.float32(1 / 255)
    albedo *= (1 + np.float32(0.03) * grain[..., 2])[..., None]
    normal, wet = _wall_normal(tunnel, point, rho, theta, wall, grain, lamp.rough)
    ambient = np.ascontiguousarray(wall[..., 3])
    truth = np.zeros(depth.shape, np.uint8)
    mean = tunnel.albedo[::32, ::32].reshape(-1, 3).mean(axis=0) / np.float32(255)
    surface = _Surface(point, normal, wet, albedo, ambient, wall[..., 0] - rho)
    for polyp, grown in view.polyps:
        _put_polyp(polyp, grown, mean, surface, truth)
    return _lit(view, surface, lamp), truth


@dataclass(frozen=True)
class _Surface:
    """What the rays met, changed in place.

    Point, normal, wet (normal with fine relief) float32 [3, H, W]; albedo float32 [H, W, 3]; ambient light and radial
    distance to the wall float32 [H, W].
    """

    point: Floats
    normal: Floats
    wet: Floats
    albedo: Floats
    ambient: Floats
    gap: Floats


def _wall_normal(
    tunnel: Tunnel, point: Floats, rho: Floats, theta: Floats, wall: Floats, grain: Floats, rough: float
) -> tuple[Floats, Floats]:
    """Gradient of radius(theta, z) - rho, made unit length: into the lumen; without and with relief."""
    cos, sin = np.cos(theta), np.sin(theta)
    sx, sy = tunnel.slope(point[2])
    near = 1 / np.maximum(rho, np.float32(0.2))
    along = wall[..., 2] + sx * cos + sy * sin
    # On steep flanks the texture is stretched, so its relief is less steep.
    fine = np.float32(rough) / (1 + wall[..., 2] ** 2)
    normals = []
    for weight in (np.float32(0.25), np.float32(1)):
        u = (wall[..., 1] + weight * fine * grain[..., 0]) * near
        v = along + weight * fine * grain[..., 1]
        normal = np.stack([-cos - u * sin, -sin + u * cos, v])
        normals.append(np.asarray(normal / np.sqrt(1 + u * u + v * v), np.float32))
    return normals[0], normals[1]


def _put_polyp(polyp: Polyp, grown: float, mean: Floats, surface: _Surface, truth: Bytes) -> None:
    """Gives the points on and around a polyp its form, colour and shade; marks those nearer to it than to the wall."""
    off = surface.point - polyp.base[:, None, None]
    reach = np.float32(polyp.bound * grown)
    near = np.flatnonzero((off * off).sum(axis=0) < reach * reach)
    if not near.size:
        return
    q = polyp.local(surface.point.reshape(3, -1)[:, near].T)
    own = polyp.distance(q, grown)
    _, share = polyp.blend(own, surface.gap.ravel()[near], grown)
    # What is clear of the wall and of this polyp belongs to another one.
    share = share * np.clip((np.float32(polyp.fillet * grown) - own) / np.float32(0.4 * polyp.fillet * grown), 0, 1)
    truth.ravel()[near[share > 0.5]] = 1
    # The foot lies in a little shade.
    shade_there = np.clip(1 - np.abs(own) / np.float32(0.12), 0, 1) * (1 - share)
    surface.ambient.ravel()[near] *= 1 - np.float32(0.3) * shade_there
    touched = share > 0
    if not touched.any():
        return
    near, q, share = near[touched], q[touched], share[touched, None]
    step = np.float32(0.006)
    # Four corners of a tetrahedron give the gradient with four distances instead of six.
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    slope = sum(corner * polyp.distance(q + step * corner, grown)[:, None] for corner in corners)
    out = (slope / (np.linalg.norm(slope, axis=1, keepdims=True) + np.float32(1e-6))) @ polyp.axes
    p = q * np.float32(1 / grown)
    pits = np.sin(p * np.float32(62) + np.float32(2.1) * np.sin(p[:, [1, 2, 0]] * np.float32(37)))
    blotch = np.sin(p * np.float32(13) + np.float32(1.5) * np.sin(p[:, [2, 0, 1]] * np.float32(9)))
    for target, relief in ((surface.normal, np.float32(0.02)), (surface.wet, np.float32(0.11))):
        flat = target.reshape(3, -1)
        mixed = share * (out + relief * (pits[:, [2, 0, 1]] + 2 * blotch[:, [1, 2, 0]])) + (1 - share) * flat[:, near].T
        flat[:, near] = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).T
    pattern = np.float32(0.5) * (pits[:, :1] * pits[:, 1:2] + pits[:, 2:]) + blotch[:, :1] * blotch[:, 1:2]
    tint = mean * polyp.tint * (1 + np.float32(polyp.spots) * pattern * np.array([1.2, 1.2, 0.5], np.float32))
    colour = surface.albedo.reshape(-1, 3)
    # The colour changes within a part of the fillet, so that the truth's edge is one that can be seen.
    painted = np.clip(share * 2 - np.float32(0.5), 0, 1)
    colour[near] += painted * (tint - colour[near])


def _lit(view: View, surface: _Surface, lamp: Lamp) -> Floats:
    point = surface.point
    eye = view.eye.astype(np.float32)
    source = eye + lamp.offset @ view.axes.astype(np.float32)
    to_lamp = source[:, None, None] - point
    away = np.sqrt((to_lamp * to_lamp).sum(axis=0)) + np.float32(1e-4)
    to_lamp /= away
    to_eye = eye[:, None, None] - point
    to_eye /= np.sqrt((to_eye * to_eye).sum(axis=0)) + np.float32(1e-4)
    facing = (surface.normal * to_lamp).sum(axis=0)
    # Light scatters inside tissue, so that it reaches a little round the edge.
    diffuse = (np.maximum(facing, 0) + np.float32(0.3)) / np.float32(1.3) * surface.ambient
    half = to_lamp + to_eye
    half /= np.sqrt((half * half).sum(axis=0)) + np.float32(1e-4)
    mirror = np.clip((surface.wet * half).sum(axis=0), 0, 1)
    strength = 1 / (np.float32(lamp.falloff**2) + away * away)
    gleam = np.float32(lamp.shine) * cv2.pow(mirror, lamp.gloss) * strength
    # Far tissue is lit through more tissue: the dark turns red-brown, not grey.
    murk = np.stack([np.exp(-away * np.float32(k)) for k in (0.16, 0.13, 0.05)], axis=2)
    light = surface.albedo * murk * (diffuse * strength)[..., None]
    light += gleam[..., None]
    return np.asarray(light * lamp.colour, np.float32)
