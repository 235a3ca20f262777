"""What the end-to-end tests are made of: the daemon, upstreams, web servers, clients. Loopback only."""
