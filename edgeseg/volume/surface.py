"""The surface of a mask: STL for planning tools, GLB for viewers, PNG to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from skimage.measure import marching_cubes
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.stl import export_stl

from edgeseg.atomic import atomic_path, atomic_write
from edgeseg.errors import DataError
from edgeseg.volume.series import Series

# Taubin's filter rounds the voxels' steps without shrinking thin vessels, as plain Laplacian smoothing would.
SMOOTHING_ROUNDS = 10
COLOUR = "#c8102e"


def surface(mask: NDArray[np.bool_], series: Series) -> trimesh.Trimesh:
    """The closed surface of ``mask`` [Z, H, W], in millimetres left, posterior, superior, as STL readers take it.

    Raises:
        DataError: the mask is empty.
    """
    where = np.nonzero(mask)
    if not where[0].size:
        raise DataError("the mask is empty; there is no surface to make")
    low = np.array([axis.min() for axis in where])
    high = np.array([axis.max() + 1 for axis in where])
    # Marching cubes on the vessels' box alone, with a rim of zeros so that it closes at the volume's edge.
    box = np.pad(mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], 1).astype(np.float32)
    vertices, faces, _, _ = marching_cubes(box, 0.5)
    voxels = (vertices + low - 1)[:, ::-1]  # column, row, slice
    ras = voxels @ series.affine[:3, :3].T + series.affine[:3, 3]
    mesh = trimesh.Trimesh(ras * (-1.0, -1.0, 1.0), faces, process=True)
    trimesh.smoothing.filter_taubin(mesh, iterations=SMOOTHING_ROUNDS)
    mesh.fix_normals()
    return mesh


def write_stl(path: Path, mesh: trimesh.Trimesh) -> None:
    """Binary STL in millimetres.

    Raises:
        OutputError: the disk refused.
    """
    atomic_write(path, export_stl(mesh))


def write_glb(path: Path, mesh: trimesh.Trimesh) -> None:
    """GLB as the format wants it: metres, y up (the patient's head), z towards the viewer (the patient's front).

    Raises:
        OutputError: the disk refused.
    """
    left, posterior, superior = mesh.vertices.T * 0.001
    turned = trimesh.Trimesh(np.stack([left, superior, -posterior], axis=1), mesh.faces, process=False)
    turned.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(
            baseColorFactor=trimesh.visual.color.hex_to_rgba(COLOUR), roughnessFactor=0.6, metallicFactor=0.0
        )
    )
    atomic_write(path, export_glb(turned.scene()))


def write_png(path: Path, mesh: trimesh.Trimesh, size: int = 1000) -> None:
    """A picture, the patient seen from the front and from the left; rendered off screen by VTK (EGL or OSMesa).

    Raises:
        OutputError: the disk refused.
    """
    import pyvista

    pyvista.vtk_verbosity("off")  # VTK says at every start that there is no display; there need be none
    solid = pyvista.PolyData.from_regular_faces(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    plotter = pyvista.Plotter(off_screen=True, shape=(1, 2), window_size=[2 * size, size], border=False)
    try:
        for column, view in enumerate(np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])):
            plotter.subplot(0, column)
            plotter.background_color = pyvista.Color("white")
            plotter.add_mesh(solid, color=COLOUR, smooth_shading=True, specular=0.3)
            plotter.camera.up = (0.0, 0.0, 1.0)
            plotter.camera.position = np.asarray(solid.center) + view
            plotter.camera.focal_point = solid.center
            plotter.renderer.ResetCamera()
        with atomic_path(path) as temporary:
            plotter.screenshot(str(temporary))
    finally:
        plotter.close()
