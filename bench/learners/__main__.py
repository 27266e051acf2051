"""`python -m bench.learners`."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # numpy reads it once: threads that wait would count as processor time
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from bench.learners.command import main  # noqa: E402 - after what numpy reads

if __name__ == "__main__":
    main()
