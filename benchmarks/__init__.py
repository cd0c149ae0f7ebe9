"""Benchmarks: each measures ours against a floor or a peer in the same run, because machines are noisy."""
