"""``python -m fairl_bench``."""

from fairl_bench.cli import main

main()
