"""Clouds and machines behind small interfaces; the only modules that import their SDKs."""
