"""What Prometheus reads; names and meanings are those of docs/viewer.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import edgeseg
from edgeseg.stream.status import STATES
from edgeseg.stream.web.channel import Channel

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Streams(Collector):
    """Reads the channels when it is asked: nothing is counted twice, nothing costs between scrapes."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the registry need not collect to know the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        said = {channel: channel.json() for channel in self._channels}

        def family(kind: type[Metric], name: str, text: str, value: str) -> Metric:
            out = kind(name, text, labels=["stream"])  # type: ignore[call-arg]
            for channel, json in said.items():
                number = getattr(channel, value, None) if value not in json else json[value]
                out.add_metric([channel.stream], float(number or 0))  # type: ignore[attr-defined]
            return out

        yield GaugeMetricFamily("edgeseg_streams", "Streams that are shown.", value=len(self._channels))
        yield family(CounterMetricFamily, "edgeseg_frames", "Frames that reached the viewer.", "frames")
        yield family(CounterMetricFamily, "edgeseg_masks", "Frames that carried a mask.", "masks")
        yield family(CounterMetricFamily, "edgeseg_frames_dropped", "Frames that a newer one overtook.", "dropped")
        yield family(GaugeMetricFamily, "edgeseg_frames_per_second", "Over the last seconds.", "fps")
        yield family(GaugeMetricFamily, "edgeseg_degraded", "1 while frames come late or with losses.", "degraded")
        yield family(GaugeMetricFamily, "edgeseg_viewers", "Connections that watch.", "viewers")
        yield family(CounterMetricFamily, "edgeseg_viewers_refused", "Viewers sent away with 503.", "refused")
        yield family(CounterMetricFamily, "edgeseg_viewer_frames_skipped", "Pictures slow viewers missed.", "skipped")
        age = GaugeMetricFamily("edgeseg_frame_age_seconds", "Age of the newest frame.", labels=["stream"])
        state = GaugeMetricFamily("edgeseg_state", "1 for the state that holds.", labels=["stream", "state"])
        latency = GaugeMetricFamily(
            "edgeseg_latency_seconds",
            "Of the last 10 s; frame_to_mask from the decoded frame to its mask, stages as the pipeline says.",
            labels=["stream", "stage", "quantile"],
        )
        psi = GaugeMetricFamily("edgeseg_drift_psi", "Grey histogram against the training frames.", labels=["stream"])
        warning = GaugeMetricFamily("edgeseg_drift_warning", "1 while the input drifts.", labels=["stream"])
        for channel, json in said.items():
            name = channel.stream
            if json["sequence"] >= 0:  # before the first frame there is no age
                age.add_metric([name], json["age_ms"] / 1e3)
            for one in STATES:
                state.add_metric([name, one], float(json["state"] == one))
            for key, quantile in (("p50", "0.5"), ("p95", "0.95")):
                latency.add_metric([name, "frame_to_mask", quantile], json["latency_ms"][key] / 1e3)
            for stage, value in json["stages"].items():
                latency.add_metric([name, stage, "0.5"], value / 1e3)
            if channel.drift is not None:
                psi.add_metric([name], channel.drift.psi)
                warning.add_metric([name], float(channel.drift.warning))
        yield from (age, state, latency, psi, warning)
        build = GaugeMetricFamily("edgeseg_build_info", "1.", labels=["version"])
        build.add_metric([edgeseg.__version__], 1)
        yield build


def registry(channels: Sequence[Channel]) -> prometheus_client.CollectorRegistry:
    """A registry of this viewer's own, so that two in one process do not meet."""
    out = prometheus_client.CollectorRegistry()
    out.register(Streams(channels))
    prometheus_client.ProcessCollector(registry=out)
    return out


def text(of: prometheus_client.CollectorRegistry) -> bytes:
    """The exposition format."""
    return prometheus_client.generate_latest(of)
