"""What goes in and comes out, as marshmallow schemas: one module a noun."""
