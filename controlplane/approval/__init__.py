"""Stage 2: who decided, in which order, with which opinion."""
