"""Services and plans, read from `playbooks/services/*/service.yml`; a service is a folder."""
