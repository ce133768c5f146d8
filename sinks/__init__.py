"""Where it lands: stores of facts, rows and dead letters, in ClickHouse and in memory."""
