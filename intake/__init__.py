"""From a message at a door to a report in the queue."""
