"""What the queue shows of itself: reads, never writes."""
