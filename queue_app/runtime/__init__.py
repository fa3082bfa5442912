"""What runs: the dispatcher loop, the queues' clusters and the watch over them. django-q2 lives here and nowhere else."""
