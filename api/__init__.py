"""Who looks: the HTTP interface for runtimes, managers and dashboards, and the review pages."""
