"""The revisions, named by number and what they make."""
