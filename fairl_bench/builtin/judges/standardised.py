"""Rewards on one scale."""

from fairl_bench.builtin.standardised import Standardised as Standardised
