"""What viewers cost the pipeline: 20 of them, one standing still, against none.

    python -m benchmarks.viewers [--model npnet-polyp] [--video-size 1280x720] [--viewers 20] [--rounds 5] [--seconds 4]

A paced 25 fps loop of fit, inference and WebSink.write, with and without viewers in turn; latency is from the moment a
frame is due to the end of its write. The viewers are a process of their own at the lowest priority: in a clinic they
are other machines. Prints p50 and p95 of both and the ratio of the p95.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from edgeseg.bundle import open_model
from edgeseg.commands.options import parse_size
from edgeseg.data.phantom import colonoscopy
from edgeseg.machine import describe
from edgeseg.stream.frame import StreamFrame

RATE = 25.0
pictures = [0]
ACK = b"\x82\x80\0\0\0\0"  # an empty binary message, masked as a client's must be


async def view(port: int, *, stalled: bool) -> None:
    """One viewer: takes messages and answers each, or takes nothing at all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    key = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    writer.write(f"GET /ws/0 HTTP/1.1\r\nHost: localhost\r\n{key}{'A' * 22}==\r\n\r\n".encode())
    try:
        if stalled:
            reader.feed_data(b"x" * (1 << 18))  # its own buffer is full: the socket is read no more
            await asyncio.sleep(3600)
        await reader.readuntil(b"\r\n\r\n")
        while True:
            start = await reader.readexactly(2)
            extended = {126: 2, 127: 8}.get(start[1], 0)
            length = int.from_bytes(await reader.readexactly(extended)) if extended else start[1]
            await reader.readexactly(length)
            pictures[0] += length > 2000
            writer.write(ACK)
    finally:
        writer.close()


async def clients(port: int, number: int) -> None:
    """Comes and goes as standard input says; one line each."""
    tasks: list[asyncio.Task[None]] = []
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            await asyncio.gather(*tasks)
        if not line:
            print(pictures[0])
            return
        tasks = [asyncio.create_task(view(port, stalled=one == 0)) for one in range(number) if line == "on\n"]


def segment(step: Callable[[int], None], first: int, seconds: float) -> list[float]:
    """Milliseconds of each frame, from when it was due."""
    out = []
    start = time.perf_counter()
    for count in range(int(seconds * RATE)):
        due = start + count / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        step(first + count)
        out.append((time.perf_counter() - due) * 1e3)
    return out


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="npnet-polyp")
    parser.add_argument("--video-size", default="1280x720")
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.clients:
        os.nice(19)
        asyncio.run(clients(words.clients, words.viewers))
        return
    from edgeseg.stream.web.server import Viewer

    width, height = parse_size(words.video_size, "--video-size")
    clip = [frame.image for frame in colonoscopy(8, width, height, 5)]
    found: dict[str, list[float]] = {"off": [], "on": []}
    with open_model(words.model).load() as model, Viewer("127.0.0.1:0") as viewer:
        sink = viewer.add("phantom", model)
        placement = model.place(clip[0])

        def step(sequence: int) -> None:
            image = clip[sequence % len(clip)]
            now = time.monotonic()
            result = model(image, placement)
            result.received = now
            sink.write(StreamFrame(image, sequence, sequence / RATE, now, time.time(), 0.0), result)

        call = [sys.executable, "-m", "benchmarks.viewers", "--clients", str(viewer.address.port)]
        with subprocess.Popen(
            [*call, "--viewers", str(words.viewers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            if child.stdin is None or child.stdout is None:
                raise SystemExit("no pipes")
            time.sleep(2)
            sequence = 0
            for _ in range(words.rounds):
                for kind in ("off", "on"):
                    child.stdin.write(f"{kind}\n")
                    child.stdin.flush()
                    segment(step, sequence, 1.0)  # settles
                    found[kind] += segment(step, sequence + 25, words.seconds)
                    sequence += 1000
            watching = viewer._channels[0].viewers  # noqa: SLF001 - proof that they were there
            child.stdin.close()
            each = int(child.stdout.read()) / (words.viewers - 1)
    print(f"{describe()}; {model.engine}; {words.video_size}, {words.viewers} viewers ({watching} seen), one stalled")
    seconds = words.rounds * (words.seconds + 1)
    print(f"a viewer got {each:.0f} pictures in {seconds:.0f} s")
    for kind, values in found.items():
        print(f"viewers {kind}: p50 {np.percentile(values, 50):.2f} ms, p95 {np.percentile(values, 95):.2f} ms")
    print(f"p95 on / off: {np.percentile(found['on'], 95) / np.percentile(found['off'], 95):.3f}")


if __name__ == "__main__":
    main()
