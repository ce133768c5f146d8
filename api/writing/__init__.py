"""What goes into Kafka from here: events of runtimes, labels of managers, erasures."""
