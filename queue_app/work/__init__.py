"""One verb a file: what edges, tasks and the dispatcher ask of the queue."""
