"""Stage 6: read-only queries for pages, API and exports; each takes the asking person's scope."""
