"""Read-only queries about the queue, for pages, the API and alerts."""
