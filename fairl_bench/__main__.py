"""``python -m fairl_bench``."""

from fairl_bench.cli.main import main

main()
