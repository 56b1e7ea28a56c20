"""Stage 3: pools and quotas; holds at submission, allocations at approval, releases on every way
out."""
