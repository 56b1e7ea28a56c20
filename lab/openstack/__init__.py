"""An OpenStack of the current release, embedded: one process a service, SQLite, loopback."""

SERVICES = ("keystone", "placement", "glance", "nova", "cinder", "neutron", "swift")
