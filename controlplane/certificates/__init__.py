"""Certificates of departments' services: the authority, what it has signed, its lists."""
