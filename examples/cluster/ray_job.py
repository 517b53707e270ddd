"""A comparison in shares as a Ray job, in a folder that all nodes see.

    ray job submit --working-dir . -- python ray_job.py --shares 4 compare --data fashion-mnist --out /shared/compare

Each task trains its share with one thread; share 0 trains the teacher, and the others wait for it. The result is collected at the end.
DISTILLERY names the program (default: node_modules/.bin/distillery).
"""

import argparse
import os
import subprocess
import sys

import ray

REQUEUE = 75  # stopped by SIGTERM or SIGUSR1, saved: run it again


@ray.remote(num_cpus=1, max_retries=3)
def share(command, index, of):
    own = ["--index", str(index), "--of", str(of), "--parallel", "1", "--threads", "1"]  # num_cpus binds to no core
    return subprocess.run([*command, *own]).returncode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shares", type=int, required=True)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="compare or sweep, with its options")
    options = parser.parse_args()
    program = os.environ.get("DISTILLERY", "node_modules/.bin/distillery")
    command = [program, *options.arguments]
    ray.init()
    # In order: share 0 has a core before those that wait for it.
    running = {share.remote(command, index, options.shares): index for index in range(options.shares)}
    failed = 0
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        index = running.pop(done)
        code = ray.get(done)
        if code == REQUEUE:
            running[share.remote(command, index, options.shares)] = index
        elif code != 0:
            print(f"share {index} ended with {code}", file=sys.stderr)
            failed = failed or code
    sys.exit(failed or subprocess.run([*command, "--collect"]).returncode)


main()
