"""The platform's shared servers, as an ordinary user on loopback, TLS on all of them."""
