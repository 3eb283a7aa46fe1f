"""`python -m tests.fuzz 20000 [--check derivatives] [--of nests] [--seed 1]`: random programs.

Programs have numbers, counted from `--seed` on; the same number is the same program. One that
fails is printed with its number and its error, and the run goes on; one that s2s_ad refuses, with
its error. The exit status is 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import traceback

import numpy as np

from s2s_ad.errors import S2SError
from tests.random_checks import CHECKS, PROGRAMS, NotSmooth


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("programs", type=int)
    parser.add_argument("--check", choices=sorted(CHECKS), default="trace")
    parser.add_argument("--of", choices=sorted(PROGRAMS), default="everything")
    parser.add_argument("--seed", type=int, default=0, help="the first program's number")
    given = parser.parse_args()
    os.environ["S2S_AD_VERIFY"] = "1"
    np.seterr(all="ignore")
    begin, failed, refused, skipped = time.perf_counter(), 0, 0, 0
    for number in range(given.seed, given.seed + given.programs):
        program = PROGRAMS[given.of](random.Random(number).choice)
        try:
            CHECKS[given.check](program)
        except NotSmooth:
            skipped += 1
        except S2SError as error:
            refused += 1
            print(f"--- program {number} is refused: {str(error).splitlines()[0]}")
        except Exception:
            failed += 1
            print(f"--- program {number}\n{program}\n{program.text}\n{traceback.format_exc()}")
        done = number - given.seed + 1
        if done % 100 == 0 or done == given.programs:
            seconds = time.perf_counter() - begin
            counts = f"{done} programs, {failed} failed, {refused} refused, "
            counts += f"{skipped} without differences"
            print(f"{given.check}: {counts}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
