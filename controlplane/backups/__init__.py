"""Backups: taken, kept, proven by restoring them, deleted for good when their time is over."""
