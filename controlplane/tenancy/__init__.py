"""Departments (a tree), people, roles and offices: who asks and who decides."""
