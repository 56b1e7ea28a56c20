"""Stage 4: jobs, the worker that runs playbooks, and the resources they make."""
