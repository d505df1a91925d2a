"""Runs a WASI program in a new process: `python wasi_child.py ARTIFACT FOLDER ARGUMENT …`.

Prints the processor's seconds of the run alone, without loading, as JSON. The program sees FOLDER
as its root.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main(artifact: str, folder: str, *arguments: str) -> None:
    """Load the artifact, and run it to its end."""
    import wasmtime

    engine = wasmtime.Engine()
    module = wasmtime.Module.deserialize_file(engine, artifact)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["program", *arguments]
    wasi.preopen_dir(folder, "/")
    wasi.stdout_file = os.devnull
    wasi.stderr_file = os.path.join(folder, "errors.txt")
    store.set_wasi(wasi)
    exports = linker.instantiate(store, module).exports(store)
    begin = time.process_time()
    status = _run(exports, store)
    seconds = time.process_time() - begin
    if status:
        raise SystemExit(f"the program ended with status {status}, see {folder}/errors.txt")
    print(json.dumps({"run": seconds}))


def _run(exports: Any, store: Any) -> int:
    """Run a command, or one of ITK-Wasm's programs, which are no commands; return its status."""
    import wasmtime

    try:
        if "_start" not in exports:
            exports["_initialize"](store)
            return int(exports["itk_wasm_delayed_start"](store))
        exports["_start"](store)
    except wasmtime.ExitTrap as trap:
        return int(trap.code)
    return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
