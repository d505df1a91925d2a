"""The names of the commands, and what each does. `cache_arguments` and others have the options."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hatch_wazcache.cli.argument_types import Wheels
from hatch_wazcache.cli.cache_arguments import (
    add_check,
    add_dry_run,
    add_generate_ci,
    add_info,
    add_init,
    add_plan,
    add_prune,
    add_remote,
    add_remove,
    add_warm,
)
from hatch_wazcache.cli.completion_command import add_completion
from hatch_wazcache.cli.help_command import add_help
from hatch_wazcache.cli.parser import Commands, Parser
from hatch_wazcache.cli.wheel_arguments import add_audit, add_companion, add_compile

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from hatch_wazcache.cli.result import Result

__all__ = ["make_parser"]


def make_parser() -> Parser:
    """Make the parser. Its result has the command's function as `run`."""
    commands = Commands()
    _add_for_projects(commands)
    _add_for_the_cache(commands)
    _add_for_wheels(commands)
    _add_for_the_shared_cache(commands)
    add_completion(commands)
    add_help(commands)
    return commands.parser


def _add_for_projects(commands: Commands) -> None:
    text = "make a project use hatch-wazcache: write the loader, the options and the requirements"
    add_init(commands.add("init", _late("init_command", "init"), text))
    text = "check the options, the .wasm files and the committed loaders of a project"
    add_check(commands.add("check", _late("check_command", "check"), text, of_cache=False))
    text = "print a workflow for GitHub or GitLab that builds, checks and publishes the wheels"
    add_generate_ci(commands.add("generate-ci", _late("generate_ci_command", "generate_ci"), text))
    text = "show the wheels and artifacts that a build would make, and what the cache has of them"
    add_plan(commands.add("plan", _late("plan_command", "plan"), text))
    text = "say whether an asset is in the cache; if not, how it differs from the nearest entry"
    why = commands.add("why", _late("project_commands", "why"), text)
    why.add_argument("asset", metavar="ASSET", help="a .wasm file of the project")
    text = "compile a project's assets without building a wheel"
    add_warm(commands.add("warm", _late("project_commands", "warm"), text))
    text = "update the artifacts of an editable install, without installing it again"
    install = commands.add("install", _late("project_commands", "install"), text)
    install.description = (
        "Write artifacts, loaders and manifests beside the project's .wasm files, as an editable "
        "install does, and remove old ones. With hatchling, the project's other build hooks also "
        "run; with setuptools, no other step of a build runs."
    )


def _add_for_the_cache(commands: Commands) -> None:
    text = "show the cache's folder, its size, and the time it has saved"
    add_info(commands.add("info", _late("cache_commands", "info"), text))
    text = "list all entries and fetched wheels, the last used first"
    commands.add("list", _late("cache_commands", "list_"), text)
    text = "show all inputs of an entry's key, and the projects that used it"
    show = commands.add("show", _late("cache_commands", "show"), text)
    show.add_argument("key", metavar="KEY", help="a key, or the first characters of one key")
    text = "check every digest of every entry and fetched wheel"
    verify = commands.add("verify", _late("maintenance_commands", "verify"), text)
    verify.add_argument("--repair", action="store_true", help="remove what is broken")
    text = "remove entries and fetched wheels"
    add_prune(commands.add("prune", _late("maintenance_commands", "prune"), text))
    text = "remove the entries of a project, or one entry"
    add_remove(commands.add("remove", _late("remove_command", "remove"), text))
    text = "remove all entries, fetched wheels and statistics"
    add_dry_run(commands.add("clear", _late("maintenance_commands", "clear"), text))
    text = "print the cache's folder, for scripts"
    commands.add("dir", _late("cache_commands", "dir_"), text)


def _add_for_wheels(commands: Commands) -> None:
    text = "compile the .wasm files of finished wheels, whatever build backend made them"
    add_compile(commands.add("compile", _late("compile_command", "compile_"), text))
    text = "make the companions of a package out of its wheel, for other versions of wasmtime"
    add_companion(commands.add("companion", _late("companion_command", "companion"), text))
    text = "check the tags, digests, manifests, artifacts and requirements of wheels"
    add_audit(commands.add("audit", _late("wheel_commands", "audit"), text, of_cache=False))
    text = "show the contents of wheels, and which artifacts load here"
    inspect = commands.add("inspect", _late("wheel_commands", "inspect"), text, of_cache=False)
    inspect.add_argument("wheels", metavar="WHEEL", nargs="+", action=Wheels, help="a file")


def _add_for_the_shared_cache(commands: Commands) -> None:
    text = "show, fill, read or check a project's shared cache"
    add_remote(commands.add("remote", _late("remote_command", "remote"), text))
    text = "make a private and a public key, which sign and check the entries of a shared cache"
    keygen = commands.add("keygen", _late("keygen_command", "keygen"), text, of_cache=False)
    keygen.description = (
        "Make a private key and its public key. Jobs with the private key sign what they upload "
        "to a shared cache. Readers use only what a key signed that they trust. Nothing is stored: "
        "keep the private key as a secret."
    )
    keygen.add_argument(
        "--out",
        metavar="FILE",
        help="write the private key to this new file, which only you can read, and do not show it",
    )


def _late(module: str, function: str) -> Callable[[Namespace], Result]:
    """Make a command that imports its module when it runs.

    To import the modules of all commands takes half of the time of a short command.

    Args:
        module: the name of a module beside this one.
        function: the name of the function in it that does the command.
    """

    def run(options: Namespace) -> Result:
        found: Callable[[Namespace], Result] = getattr(
            import_module(f"hatch_wazcache.cli.{module}"), function
        )
        return found(options)

    return run
