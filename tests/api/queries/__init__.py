"""Tests of what is asked of ClickHouse."""
