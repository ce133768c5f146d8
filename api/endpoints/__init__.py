"""The HTTP interface: a router a noun. What an endpoint does is in `queries` and `writing`; here it is asked for."""
