"""Interlaced video: one field is kept and its missing lines are interpolated, without waiting for the next frame.

Temporal filters such as yadif give sharper lines a frame later; here a mask must not come later than it could.
"""

from __future__ import annotations

import av
import av.filter


class Deinterlacer:
    """Passes progressive frames through; a graph is made when the first interlaced one comes."""

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._graph: av.filter.Graph | None = None
        self._made_for: tuple[int, int, str] | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        if not frame.interlaced_frame:
            return frame
        self.notes = ("interlaced: one field of each frame is shown, its lines interpolated",)
        like = (frame.width, frame.height, frame.format.name)
        if self._graph is None or self._made_for != like:
            self._graph, self._made_for = _graph(frame), like
        self._graph.push(frame)
        out = self._graph.pull()
        assert isinstance(out, av.VideoFrame)  # noqa: S101 - a video graph gives nothing else
        # The filter keeps the tags that conversion to BGR reads, but for these two.
        out.colorspace, out.color_range = frame.colorspace, frame.color_range
        return out


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        graph.add("field", "type=top"),
        graph.add("scale", f"{frame.width}:{frame.height}:flags=bilinear"),
        graph.add("format", frame.format.name),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph
