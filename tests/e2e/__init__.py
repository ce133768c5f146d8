"""End to end: the real command line, a real broker, a real ClickHouse, each in a process of its own."""
