"""What cannot be spared: compiles files by wasmtime-py, deflates what comes out, tells the seconds.

Run as: compile_all.py TRIPLE FILE...
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import deflate
import wasmtime

config = wasmtime.Config()
config.target = sys.argv[1]
engine = wasmtime.Engine(config)
compiling = deflating = 0.0
for path in sys.argv[2:]:
    wasm = Path(path).read_bytes()
    started = time.perf_counter()
    artifact = wasmtime.Module(engine, wasm).serialize()
    compiled = time.perf_counter()
    for data in (wasm, artifact):
        deflate.deflate_compress(data, 6)
    compiling += compiled - started
    deflating += time.perf_counter() - compiled
print(json.dumps({"compiling": compiling, "deflating": deflating}))
