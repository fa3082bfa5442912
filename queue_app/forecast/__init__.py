"""When jobs start and finish: the queue is simulated from the limits that claims obey."""
