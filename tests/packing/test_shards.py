"""Several machines that compile one project together, each its share."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.remote.keys import SigningKey
from hatch_wazcache.compile.job import Job
from hatch_wazcache.formats.wasm import FileStamp, Wasm
from hatch_wazcache.packing.all_artifacts import Shard, share
from tests.support.commands import answer, run
from tests.support.projects import Project
from tests.support.remotes import FolderServer, folder_server, other_machine, readers, writers
from tests.support.wasm import tiny

KEY = SigningKey.generate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    with folder_server(tmp_path / "server") as made:
        yield made


def jobs(sizes: list[int]) -> list[Job]:
    """Make jobs with this much code each."""
    return [
        Job(
            ArtifactKey(f"{number:064x}", "48.0.0", "x86_64-linux", "", "baseline", (), {}),
            f"{number}.wasm",
            Path(),
            Wasm(f"{number:064x}", size, "module", FileStamp(0, 0, 0), size),
        )
        for number, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("total", [1, 2, 5, 50])
def test_each_job_is_in_one_share(total: int):
    made = jobs([random.Random(number).randrange(10**6) for number in range(37)])
    shares = [share(made, Shard(number + 1, total)) for number in range(total)]
    names = Counter(job.label for one in shares for job in one)
    assert names == Counter(job.label for job in made)


def test_all_machines_agree_on_the_shares_whatever_the_order_of_the_jobs():
    made = jobs([random.Random(number).choice([0, 5, 5, 10**6]) for number in range(37)])
    mixed = random.Random(1).sample(made, len(made))
    for number in range(1, 6):
        first, second = share(made, Shard(number, 5)), share(mixed, Shard(number, 5))
        assert [job.label for job in first] == [job.label for job in second]


def test_the_shares_have_about_the_same_code():
    made = jobs([1000 + 7919 * number % 9000 for number in range(60)])
    sizes = [sum(job.wasm.code_size for job in share(made, Shard(n, 5))) for n in range(1, 6)]
    assert max(sizes) - min(sizes) <= max(job.wasm.code_size for job in made)
    assert sum(sizes) == sum(job.wasm.code_size for job in made)


@pytest.mark.parametrize("word", ["0/5", "6/5", "2", "2/", "a/b", "1/0", "-1/5", "1.5/2"])
def test_a_wrong_share_is_wrong_usage(project: Project, word: str):
    done = run(project, "warm", f"--shard={word}")
    assert done.returncode == 2
    assert f"'{word}' is not a share such as 1/5 or 5/5" in done.stderr


def test_five_machines_warm_a_shared_cache_and_the_last_packs(
    project: Project, server: FolderServer
):
    for number in range(7):
        project.write(f"demo/{number}.wasm", tiny(str(number)))
    shares = []
    for number in range(1, 6):
        machine = other_machine(project, f"machine{number}")
        machine.environment |= writers(server, KEY)
        about = answer(machine, "warm", "--shard", f"{number}/5")
        shares.append((about["compiled"], about.get("uploaded", 0)))
    assert sum(compiled for compiled, _uploaded in shares) == 8
    assert min(shares) >= (1, 1)
    assert all(compiled == uploaded for compiled, uploaded in shares)
    last = other_machine(project, "last")
    built = last.build(**readers(server, KEY))
    assert built.status == 0, built.output
    assert "0 compiled, 0 found in the cache, 8 from the shared cache" in built.output


def test_shares_work_without_a_shared_cache_if_the_caches_are_merged(project: Project):
    for number in range(3):
        project.write(f"demo/{number}.wasm", tiny(str(number)))
    for number in (1, 2):
        done = run(project, "warm", "--shard", f"{number}/2")
        assert re.search(rf"shard {number} of 2: [1-3] of 4 artifacts", done.stderr), done.stderr
    built = project.build()
    assert "0 compiled, 4 found in the cache" in built.output
