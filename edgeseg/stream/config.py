"""``--config FILE.toml``: the options of ``edgeseg infer`` for one device, named as on the command line.

What is on the command line wins over what is in the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeseg.errors import UsageError

LARGEST = 64 * 1024
Number = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]


class DeviceConfig(BaseModel):
    """Every option of ``infer`` (contract, section C); all may be absent."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=lambda name: name.replace("_", "-"))

    stream: Text | list[Text] | None = None
    model: Text | None = None
    out: Text | None = None
    masks: Text | None = None
    events: Text | None = None
    record: Text | None = None
    codec: Literal["h264", "mpeg4"] | None = None
    show: bool | None = None
    web: Text | Annotated[int, Field(ge=0, le=65535)] | None = None
    frames: Count | None = None
    duration: Number | None = None
    stream_buffer: bool | None = None
    max_latency_ms: Number | None = None
    max_violations: Annotated[int, Field(ge=0)] | None = None
    no_retry: bool | None = None
    crop: Text | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    smoothing: Annotated[float, Field(ge=0, le=0.95)] | None = None
    tile: bool | None = None
    video_size: Text | None = None
    framerate: Number | None = None
    pixel_format: Text | None = None
    backend: Text | None = None
    precision: Text | None = None
    device: Annotated[int, Field(ge=0)] | None = None
    threads: Annotated[int, Field(ge=0)] | None = None
    json_: Text | None = Field(default=None, alias="json")
    rebuild: bool | None = None
    quiet: bool | None = None


def read(path: Path, options: Collection[str]) -> dict[str, Any]:
    """What a file says, by option.

    Args:
        path: of the TOML file.
        options: those that the command has, such as ``max-latency-ms``.

    Raises:
        UsageError: no such file, no TOML, an unknown option, a value that is none.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"--config {path}: over {LARGEST} bytes; this is no device's configuration")
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: is no TOML ({error})") from error
    try:
        config = DeviceConfig.model_validate(found)
    except ValidationError as error:
        raise UsageError(f"--config {path}: {_sentence(error, options)}") from error
    said = config.model_dump(by_alias=True, exclude_none=True)
    for name in said:
        if name not in options:
            raise UsageError(f"--config {path}: this version has no option {name}; run edgeseg infer --help")
    return said


def _sentence(error: ValidationError, options: Collection[str]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        from difflib import get_close_matches

        near = get_close_matches(name, options, 1)
        return f"there is no option {name}" + (f"; did you mean {near[0]}?" if near else "; run edgeseg infer --help")
    return f"{name}: {first['msg']}"
