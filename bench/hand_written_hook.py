"""The hook that package authors write by hand today, as a project's `hatch_build.py`."""

import sysconfig
from pathlib import Path

import wasmtime
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    """Compiles each `.wasm`, and lets hatchling pack it with its artifact."""

    def initialize(self, version, build_data):
        """Compile."""
        config = wasmtime.Config()
        config.target = "x86_64-unknown-linux-gnu"
        engine = wasmtime.Engine(config)
        for wasm in sorted(Path(self.root, "demo").glob("*.wasm")):
            artifact = wasm.with_suffix(".cwasm")
            artifact.write_bytes(wasmtime.Module.from_file(engine, str(wasm)).serialize())
            build_data["force_include"][str(artifact)] = f"demo/{artifact.name}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
