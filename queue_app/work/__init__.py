"""The queue's verbs, one per file, as called by edges, tasks and the dispatcher."""
