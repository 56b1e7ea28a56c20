"""Servers beside the cloud, as an ordinary user on loopback: PostgreSQL."""
