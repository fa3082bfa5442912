"""The pages of the queue, and the stream that tells them to look again."""
