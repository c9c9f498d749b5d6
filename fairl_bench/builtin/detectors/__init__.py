"""Detectors: rules that say which pairs are failures in the present round."""
