"""Stage 5: usage intervals, prices, and what they come to."""
