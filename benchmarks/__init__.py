"""Measured, side by side with a peer or a bound in one run; `benchmarks/out/` keeps the figures."""
