"""What is asked of ClickHouse: filters, lists, facets, statistics, histories and exports. All SQL of `api` is here."""
