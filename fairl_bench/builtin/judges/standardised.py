"""Rewards on one scale."""

from fairl_bench.builtin.shared.standardised import Standardised as Standardised
