"""The state that is shown: what the pipeline last said, but never better than the age of the picture allows."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from edgeseg.stream.status import STATES, Status

STALE_MS, LOST_MS = 500.0, 3000.0
_CREDENTIALS = re.compile(r"//[^/\s@]*@")


def plain(text: str) -> str:
    """Without credentials, should a name still carry some."""
    return _CREDENTIALS.sub("//***@", text)


def shown_status(stream: str, said: Status | None, received: float | None, sequence: int, *, ended: bool) -> Status:
    """The status of what a viewer sees now.

    Args:
        stream: name, without secrets.
        said: by the pipeline, last; None if it says nothing (a recording).
        received: monotonic seconds at which the shown frame was decoded; None before the first.
        sequence: of the shown frame; -1 before the first.
        ended: no more frames will come.
    """
    said = said or Status(stream, "LIVE", "", sequence, 0.0, 0.0)
    age_ms = said.age_ms if received is None else (time.monotonic() - received) * 1e3
    state, reason = said.state, plain(said.reason)
    if ended:
        by_age, why = "LOST", "the stream has ended"
    elif received is None:
        by_age, why = "LOST", "no frame yet"
    elif age_ms > LOST_MS:
        by_age, why = "LOST", "no new frame"
    elif age_ms > STALE_MS:
        by_age, why = "STALE", "no new frame"
    else:
        by_age, why = "LIVE", ""
    if STATES.index(by_age) > STATES.index(state):
        # What the pipeline said of a lesser state explains this one too, such as "connection refused".
        state, reason = by_age, reason or why
    return replace(
        said, stream=stream, state=state, reason=reason, sequence=sequence, age_ms=age_ms, wall_time=time.time()
    )
