"""A camera that fails on command: an RTSP server on loopback, run by the system's Python (Debian's python3-gi).

    /usr/bin/python3 rtsp_camera.py [--port N] [--size WxH] [--codec h264|h265|mjpeg] [--user U --password P]

Every frame carries in its top 16 rows a barcode of 64 blocks: 24 bits of frame index, 40 bits of Unix milliseconds, so
that latency, drops, stalls and freezes are read from pixels (lab.barcode). Commands are lines on standard input:

    gap on|off        the session stays, no RTP comes (a silent encoder)
    freeze on|off     the same picture again and again
    still on|off      nothing moves, but the sensor's noise does
    pic ball|black|white|noise
    size WxH          other caps in mid-stream
    corrupt P         random encoded buffers are garbled with probability P
    eos               the stream ends cleanly
"""

import argparse
import os
import random
import sys
import threading
import time

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer

Gst.init(None)
parser = argparse.ArgumentParser()
parser.add_argument("--port", default="0")
parser.add_argument("--size", default="320x240")
parser.add_argument("--fps", type=float, default=25)
parser.add_argument("--gop", type=int, default=25)
parser.add_argument("--codec", default="h264")
parser.add_argument("--interlaced", action="store_true")
parser.add_argument("--file", help="play this H.264 file at its own pace instead of drawing, which costs no encoder")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--tls", help="a PEM file with certificate and key: the camera then speaks rtsps")
args = parser.parse_args()

state = {"gap": False, "freeze": False, "still": False, "corrupt": 0.0, "pic": "ball", "fps": args.fps}
state["size"] = tuple(map(int, args.size.split("x")))
rng = np.random.default_rng(0)
# zerolatency's sliced threads corrupt the stream here, so one thread.
field = "interlaced=true " if args.interlaced else ""
ENCODERS = {
    "h264": f"x264enc tune=zerolatency {field}speed-preset=superfast sliced-threads=false threads=1 "
    f"key-int-max={args.gop} bitrate=2000 ! video/x-h264,stream-format=byte-stream,profile=main ! identity name=post "
    "! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96",
    "h265": f"x265enc tune=zerolatency speed-preset=ultrafast key-int-max={args.gop} bitrate=800 ! identity name=post "
    "! h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96 config-interval=-1",
    "mjpeg": "jpegenc ! identity name=post ! rtpjpegpay name=pay0 pt=26",
}
LAUNCH = (
    "( appsrc name=src is-live=true do-timestamp=true format=time max-buffers=2 leaky-type=downstream "
    f"! queue max-size-buffers=2 leaky=downstream ! {ENCODERS[args.codec]} )"
)


if args.file:
    LAUNCH = f"( filesrc location={args.file} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"


def caps():
    width, height = state["size"]
    mode = ",interlace-mode=interleaved" if args.interlaced else ""
    return Gst.Caps.from_string(
        f"video/x-raw,format=I420,width={width},height={height},framerate={round(state['fps'])}/1{mode}"
    )


def picture(index):
    width, height = state["size"]
    luma = np.full((height, width), 60 if state["pic"] == "ball" else 16, np.uint8)
    chroma = np.full((height // 2, width), 128, np.uint8)  # U then V of I420
    if state["pic"] == "ball":
        step = 0 if state["still"] else index
        left = (step * 4) % (width - 32)
        top = 32 + int((height - 72) * (0.5 + 0.5 * np.sin(step / 17)))
        luma[16:] = np.linspace(50, 120, width, dtype=np.uint8)[None]
        luma[top : top + 32, left : left + 32] = 220
        if state["still"]:
            luma[16:] = np.clip(luma[16:] + rng.normal(0, 3, (height - 16, width)), 0, 255).astype(np.uint8)
    elif state["pic"] == "white":
        luma[:] = 235
    elif state["pic"] == "noise":
        luma[:] = rng.integers(16, 236, (height, width), dtype=np.uint8)
    if state["pic"] == "ball" and not state["still"]:
        value = ((index & 0xFFFFFF) << 40) | (int(time.time() * 1000) & 0xFFFFFFFFFF)
        bits = np.array([(value >> (63 - bit)) & 1 for bit in range(64)], np.uint8) * 219 + 16
        block = width // 64
        luma[:16, : block * 64] = np.repeat(bits, block)[None]
    return luma.tobytes() + chroma.tobytes()


def pump(source):
    index, last, current, due = 0, None, None, time.monotonic()
    while True:
        due += 1 / state["fps"]
        time.sleep(max(0, due - time.monotonic()))
        index += 1
        if state["gap"]:
            continue
        if current != (state["size"], state["fps"]):
            current, last = (state["size"], state["fps"]), None
            source.set_caps(caps())
        if not (state["freeze"] and last):
            last = picture(index)
        if source.emit("push-buffer", Gst.Buffer.new_wrapped(last)) != Gst.FlowReturn.OK:
            return


media_now = {}


class Factory(GstRtspServer.RTSPMediaFactory):
    def __init__(self):
        super().__init__()
        self.set_launch(LAUNCH)
        self.set_shared(True)
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        if args.file:
            return
        element = media.get_element()
        media_now["element"] = element
        source = element.get_by_name("src")
        source.set_caps(caps())
        busy = threading.local()

        def garble(pad, info):
            if getattr(busy, "on", False) or not (state["corrupt"] and random.random() < state["corrupt"]):
                return Gst.PadProbeReturn.OK
            busy.on = True
            try:
                buffer = info.get_buffer()
                _, mapped = buffer.map(Gst.MapFlags.READ)
                data = bytearray(mapped.data)
                buffer.unmap(mapped)
                for _ in range(12):
                    data[random.randrange(min(6, len(data) - 1), len(data))] = random.randrange(256)
                new = Gst.Buffer.new_wrapped(bytes(data))
                new.pts, new.dts, new.duration = buffer.pts, buffer.dts, buffer.duration
                pad.push(new)
            finally:
                busy.on = False
            return Gst.PadProbeReturn.DROP

        element.get_by_name("post").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, garble)
        threading.Thread(target=pump, args=(source,), daemon=True).start()


server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(args.port)
factory = Factory()
server.get_mount_points().add_factory("/cam", factory)
if args.user or args.tls:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if args.user:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
    else:
        auth.set_default_token(token)
    if args.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(args.tls))
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("user")
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)


def command(line):
    name, _, value = line.strip().partition(" ")
    if name in ("gap", "freeze", "still"):
        state[name] = value == "on"
    elif name in ("corrupt", "fps"):
        state[name] = float(value)
    elif name == "pic":
        state["pic"] = value
    elif name == "size":
        state["size"] = tuple(map(int, value.split("x")))
    elif name == "eos":
        media_now["element"].get_by_name("src").emit("end-of-stream")
    print("done", flush=True)
    return False


def listen():
    for line in sys.stdin:
        GLib.idle_add(command, line)
    os._exit(0)


if not server.attach(None):
    sys.exit("attach failed: is the port in use?")
threading.Thread(target=listen, daemon=True).start()
GLib.timeout_add_seconds(2, lambda: server.get_session_pool().cleanup() or True)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
