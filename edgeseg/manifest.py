"""What a run or a bundle says about itself: manifest.json, schema 1.

The fields and their meanings are the contract's, section A. Everything later stages need to know
stands here, so none invents preprocessing, class names or sizes again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeseg import strict_json
from edgeseg.errors import UsageError

SCHEMA = 1
SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]*"

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
File = Annotated[str, Field(pattern=rf"^{SEGMENT}(/{SEGMENT})*$", max_length=128)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


def _real_time(text: str) -> str:
    try:
        time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError as error:
        raise ValueError("must be a UTC time such as 2026-11-24T09:30:00Z") from error
    return text


Time = Annotated[str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}Z$"), AfterValidator(_real_time)]
Pixels = Annotated[int, Field(ge=1, le=16384)]
Grey = Annotated[int, Field(ge=0, le=255)]
Threshold = Annotated[int, Field(ge=1, le=255)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Gate = Literal["passed", "parity", "pending"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Shape = Annotated[list[Count], Field(min_length=4, max_length=4)]
Triple = Annotated[list[float], Field(min_length=3, max_length=3)]


class Part(BaseModel):
    """Strict types, no NaN, unknown keys ignored (adding keys keeps schema 1)."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class Task(Part):
    kind: Literal["segmentation"]
    modality: Literal["colonoscopy", "dermoscopy", "fundus", "ct", "other"]
    network: str


class Class(Part):
    """``threshold``: grey level 1–255, positive where probability ≥ it; the background has none."""

    name: str
    color: Color
    threshold: Threshold | None = None


class Fit(Part):
    region: Literal["frame", "content"]
    content_level: Grey = 24
    mode: Literal["resize", "pad", "crop"]
    enlarge: bool = True
    pad_value: Grey = 0
    interpolation: Literal["bilinear"] = "bilinear"


class Step(Part):
    op: Literal["clahe"]
    clip_limit: float
    tiles: Annotated[int, Field(ge=1, le=64)]


class Window(Part):
    center_hu: float
    width_hu: Annotated[float, Field(gt=0)]


class Frame(Part):
    """The graph's input: ``height`` × ``width`` pixels, uint8 BGR."""

    height: Pixels
    width: Pixels
    channels: Literal[3] = 3
    layout: Literal["NHWC"] = "NHWC"
    dtype: Literal["uint8"] = "uint8"
    order: Literal["BGR"] = "BGR"
    fit: Fit
    steps: list[Step] = []
    window: Window | None = None


class Output(Part):
    """The graph's output: p = value / ``scale``."""

    name: Literal["probability"] = "probability"
    layout: Literal["NCHW"] = "NCHW"
    dtype: Literal["uint8"] = "uint8"
    channels: Annotated[int, Field(ge=1, le=64)]
    height: Pixels
    width: Pixels
    scale: Literal[255] = 255
    upsample: Literal["bilinear", "nearest"] = "bilinear"
    min_area: Fraction = 0.0
    smoothing: Annotated[float, Field(ge=0, le=0.95)] = 0.0


def _not_test(split: str) -> str:
    if split == "test":
        raise ValueError("must not be the test split")
    return split


class OperatingPoint(Part):
    class_: Annotated[str, Field(alias="class")]
    rule: str
    data: str
    split: Annotated[str, AfterValidator(_not_test)]
    ece: float
    thresholds: list[Threshold]
    sensitivity: list[Fraction]
    precision: list[Fraction]

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if not len(self.thresholds) == len(self.sensitivity) == len(self.precision):
            raise ValueError("thresholds, sensitivity and precision must be of equal length")
        return self


class Version(Part):
    name: str
    version: str


class DataUse(Part):
    name: str
    listing_sha256: Hash
    terms: str


class SplitUse(Part):
    data: str
    split: str
    images: Count
    list_sha256: Hash


class Ancestor(Part):
    """A model that a training began with or learnt from, or one before that, and the frames that shaped it."""

    recipe: str
    seed: int
    weights_sha256: Hash
    parent_sha256: Hash | None = None
    teacher_sha256: Hash | None = None
    data: list[DataUse]
    splits: list[SplitUse]


class Training(Part):
    recipe: str
    recipe_sha256: Hash
    seed: int
    epochs: Count
    epoch: Count
    commit: str
    dirty: bool
    weights_sha256: Hash
    parent_sha256: Hash | None = None
    teacher_sha256: Hash | None = None
    parameters: Count
    gmac: float
    versions: list[Version]
    data: list[DataUse]
    splits: list[SplitUse]
    ancestors: list[Ancestor] | None = None  # nearest first, each once; absent in what older versions wrote

    @property
    def lineage(self) -> list[Training | Ancestor]:
        """This training and those before it, nearest first."""
        return [self, *(self.ancestors or ())]

    @property
    def whole(self) -> bool:
        """Whether every model that shaped this one is in its lineage."""
        named = {sha for one in self.lineage for sha in (one.parent_sha256, one.teacher_sha256) if sha}
        return named <= {one.weights_sha256 for one in self.lineage}

    @property
    def all_data(self) -> list[DataUse]:
        """Data sets of the whole lineage, each once as the nearest names it, nearest first; all their terms bind."""
        uses = [one for each in self.lineage for one in each.data]
        return list({one.listing_sha256: one for one in reversed(uses)}.values())[::-1]


class Calibration(Part):
    recipe: str
    method: Literal["minmax", "percentile", "entropy", "mse"]
    seed: int
    frames: Count
    data: str
    split: Annotated[str, AfterValidator(_not_test)]
    frames_sha256: Hash
    weights_sha256: Hash
    frame_spec_sha256: Hash
    graph_sha256: Hash


class Graph(Part):
    """``input``: [batch (0 = dynamic), height, width, 3]."""

    name: str
    form: Literal["float", "cpu", "trt-typed", "trt-legacy"]
    precision: Precision
    opset: int
    input: Shape
    resize: Literal["host", "engine"]
    float_layers: list[str] = []
    table_sha256: Hash | None = None
    gate: Gate
    file: File
    size: Count
    sha256: Hash


class Profile(Part):
    min: Shape
    opt: Shape
    max: Shape


class Engine(Part):
    name: str
    target: str
    graph: str
    graph_sha256: Hash
    backend: Literal["tensorrt"]
    flavour: Literal["tensorrt", "rtx"]
    version: str
    precision: Precision
    platform: Literal["linux-x86_64", "linux-aarch64"]
    compute_capabilities: list[str]
    cuda_driver_min: int
    version_compatible: bool
    hardware_compatible: Literal["none", "ampere-plus", "same-cc"]
    dla_core: int | None = None
    profile: Profile
    resize: Literal["host", "engine"]
    gate: Gate
    file: File
    size: Count
    sha256: Hash


class Figures(Part):
    """Fractions; a figure without a denominator is absent."""

    dice: float | None = None
    iou: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    accuracy: float | None = None
    auc: float | None = None


class Evaluation(Part):
    subject: str
    backend: str
    backend_version: str
    purpose: Literal["gate", "report"]
    data: str
    split: str
    images: Count
    area: Literal["frame", "fov"]
    machine: str
    created: Time
    parity_db: float | None = None
    per_image: Figures
    pooled: Figures
    dice_drop: float | None = None
    dice_drop_ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    worst_image: str | None = None
    worst_dice: float | None = None
    latency_p50_ms: float | None = None


class Expected(Part):
    """Passed when at most ``max_fraction`` of the values differ by more than ``max_diff`` grey levels."""

    graph: str
    max_diff: Grey
    max_fraction: Fraction
    file: File
    sha256: Hash


class Golden(Part):
    name: str
    source: str
    height: Pixels
    width: Pixels
    file: File
    sha256: Hash
    fitted_file: File
    fitted_sha256: Hash
    expected: list[Expected]


class InputStatistics(Part):
    """Of fitted frames of the training split: grey levels per channel B, G, R; grey histogram in 16 bins."""

    split: str
    frames: Count
    mean: Triple
    mean_sd: Triple
    std: Triple
    std_sd: Triple
    histogram: Annotated[list[float], Field(min_length=16, max_length=16)]
    psi_warn: float


class Terms(Part):
    weights_licence: str
    research_only: bool
    notice: str


class Use(Part):
    intended: str
    not_intended: list[str]
    frames: str


class Document(Part):
    role: Literal["calibration", "report", "sbom", "card", "weights"]
    file: File
    size: Count
    sha256: Hash


def check_classes(classes: Sequence[Class]) -> None:
    """A background without and at least one class with a threshold, each by its own name.

    Raises:
        ValueError: what does not hold.
    """
    if len(classes) < 2:
        raise ValueError("classes: a background and at least one more are needed")
    if classes[0].threshold is not None or any(c.threshold is None for c in classes[1:]):
        raise ValueError("classes: every class but the background, and only those, has a threshold")
    if len({c.name for c in classes}) != len(classes):
        raise ValueError("classes: two have the same name")


def check_spec(classes: Sequence[Class], frame: Frame, output: Output) -> None:
    """What every model must hold to, a bare graph included.

    Raises:
        ValueError: what does not hold.
    """
    check_classes(classes)
    if output.channels != len(classes) - 1:
        raise ValueError("output.channels must be the number of classes less the background")
    if (output.height, output.width) != (frame.height, frame.width):
        raise ValueError("output must have the frame's height and width")


class Manifest(Part):
    """manifest.json of a run or a bundle."""

    format: Literal["edgeseg"] = "edgeseg"
    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    kind: Literal["run", "bundle"]
    name: Name
    created: Time
    writer: str
    task: Task
    classes: Annotated[list[Class], Field(min_length=2)]
    frame: Frame
    output: Output
    operating_points: list[OperatingPoint] = []
    training: Training
    calibration: Calibration | None = None
    graphs: list[Graph] = []
    engines: list[Engine] = []
    evaluations: list[Evaluation] = []
    golden: list[Golden] = []
    input_statistics: InputStatistics | None = None
    terms: Terms
    use: Use | None = None
    documents: list[Document] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_spec(self.classes, self.frame, self.output)
        for kind in ("graphs", "engines", "golden"):
            names = [item.name for item in getattr(self, kind)]
            if len(names) != len(set(names)):
                raise ValueError(f"{kind}: two entries have the same name")
        if self.kind == "bundle" and not (self.graphs and self.golden and self.use):
            raise ValueError("a bundle needs graphs, golden frames and use")
        return self


# In these lists an entry with an enum value this version does not know is skipped, elsewhere the bundle is refused.
SKIPPABLE: dict[str, type[Part]] = {
    "graphs": Graph,
    "engines": Engine,
    "evaluations": Evaluation,
    "golden": Golden,
    "documents": Document,
}


def parse(data: bytes) -> Manifest:
    """Reads a manifest under all of the contract's rules.

    Raises:
        ValueError: with what is wrong, ready to follow "manifest.json: ".
    """
    value = strict_json.loads(data)
    if value.get("format") != "edgeseg":
        raise ValueError("is not edgeseg's (format)")
    if type(value.get("schema")) is not int or value["schema"] != SCHEMA:  # true and 1.0 equal 1
        raise ValueError(f"has schema {value.get('schema')!r}, this edgeseg reads {SCHEMA}; use a matching edgeseg")
    for key, part in SKIPPABLE.items():
        if isinstance(value.get(key), list):
            value[key] = [item for item in value[key] if not unknown_enum(part, item)]
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        raise ValueError(first_error(error)) from error


def unknown_enum(part: type[Part], item: object) -> bool:
    """Whether nothing but enum values is wrong with an entry."""
    try:
        part.model_validate(item)
    except ValidationError as error:
        return all(e["type"] == "literal_error" and isinstance(e["input"], str) for e in error.errors())
    return False


def first_error(error: ValidationError) -> str:
    """The first thing pydantic complains about, as half a sentence with its place."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").replace("Extra inputs are not permitted", "is no known key")
    return f"{where}: {message}" if where else message


def dump(manifest: Manifest) -> bytes:
    """The manifest as its file: stable key order, absent rather than null, one trailing newline."""
    value = manifest.model_dump(by_alias=True, exclude_none=True)
    for key in ("operating_points", "graphs", "engines", "evaluations", "golden", "documents"):
        if not value[key]:
            del value[key]
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def frame_spec_sha256(frame: Frame) -> str:
    """SHA-256 of ``frame`` as JSON with sorted keys and no spaces."""
    value = frame.model_dump(by_alias=True, exclude_none=True)
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def sha256(data: bytes) -> str:
    """As manifests write it: 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def now(clock: Callable[[], float] = time.time) -> str:
    """RFC 3339 UTC to the second; ``SOURCE_DATE_EPOCH`` is obeyed, so that builds can be repeated.

    Raises:
        UsageError: it is no number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given and not (given.isascii() and given.isdecimal() and len(given) <= 11):
        raise UsageError(f"SOURCE_DATE_EPOCH is {given[:40]!r}; give seconds since 1970, or unset it")
    seconds = int(given or clock())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def graph_metadata(manifest: Manifest) -> str:
    """What a bare graph carries in ``metadata_props["edgeseg"]``: task, classes, frame, output."""
    value: dict[str, Any] = manifest.model_dump(by_alias=True, exclude_none=True)
    return json.dumps({key: value[key] for key in ("task", "classes", "frame", "output")}, sort_keys=True)
