"""Stage 1: what a department asks for."""
