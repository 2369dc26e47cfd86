"""CPU time of `recsys recommend --user` as a whole process, and throughput for all users of the shop.

    python -m benchmarks.cold [--workspace DIR]

CPU time is user and system time of the process and its children. Bytecode is cached, as after any first run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.paired import ROOT, as_users_have_it, say
from benchmarks.shop import Bench, bench
from recsys.recommend.request import RecommendOptions

RUNS, TARGET = 15, 1.5
SINGLE = 50  # users who are also requested one by one


def cpu_of(command: list[str]) -> float:
    """Return the seconds of CPU that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, env=as_users_have_it())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def throughput(shop: Bench, cross_encoder: bool) -> None:
    """Print a row: users a second, all users in one batch."""
    recommender = shop.with_cross_encoder() if cross_encoder else shop.recommender
    users = [str(user) for user in shop.split.history.user_ids]
    begun, used = time.perf_counter(), time.process_time()
    answers = list(recommender.answer(RecommendOptions(k=10), users))
    wall, used = time.perf_counter() - begun, time.process_time() - used
    single = [next(iter(recommender.answer(RecommendOptions(k=10), [user]))) for user in users[:SINGLE]]
    kept = float(np.mean([one == other for one, other in zip(single, answers, strict=False)]))
    target = 15 if cross_encoder else 100
    name = f"batch_{'with' if cross_encoder else 'without'}_cross_encoder"
    figures = {"users": len(users), "users_a_second": round(len(users) / wall, 1), "cpu_ms_a_user": round(1000 * used / len(users), 2)}
    say(name, [len(users) / wall / target], 1, kept, kept_is=f"share of {SINGLE} single answers that are the same", **figures)


def main() -> None:
    """Print three rows, whose ratios are against the target."""
    shop = bench()
    user = str(shop.split.history.user_ids[shop.truth(1).users[0]])
    command = [sys.executable, "-m", "recsys", "--workspace", str(shop.workspace.root.resolve()), "recommend", "--user", user]
    cpu_of(command)
    seconds = np.array([cpu_of(command) for _ in range(RUNS)])
    modules = "import sys; from recsys.cli.main import run; run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    torch = subprocess.run([sys.executable, "-c", modules, *command[3:]], cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    say("cold_recommend", TARGET / seconds, 1, None, cpu_seconds=round(float(np.median(seconds)), 3), imports_torch=bool(torch))
    for cross_encoder in (False, True):
        throughput(shop, cross_encoder)


if __name__ == "__main__":
    main()
