"""The viewer (``--web``); follow a frame: sink.py → channel.py → message.py → app.py → static/viewer.js.

address.py says where to listen, guard.py who may come in, metrics.py what Prometheus reads, server.py runs it all in a
thread of its own.
"""
