"""Upgrades: instances of a service brought from one version to another, a few at a time."""
