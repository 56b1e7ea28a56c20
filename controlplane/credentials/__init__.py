"""Secrets of resources: drawn by us before a playbook runs, kept sealed, shown once."""
