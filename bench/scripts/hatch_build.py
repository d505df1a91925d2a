"""What people write today: compiles what has changed, beside it, and has it included."""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        import wasmtime

        config = wasmtime.Config()
        config.target = "TRIPLE"
        engine = wasmtime.Engine(config)
        for wasm in sorted(Path(self.root, "package").glob("*.wasm")):
            artifact = wasm.with_suffix(".cwasm")
            if not artifact.exists() or artifact.stat().st_mtime < wasm.stat().st_mtime:
                artifact.write_bytes(wasmtime.Module(engine, wasm.read_bytes()).serialize())
            build_data["force_include"][str(artifact)] = f"package/{artifact.name}"
        build_data["tag"] = "py3-none-TAG"
        build_data["pure_python"] = False
