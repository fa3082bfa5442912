"""
The studio: a separate program that simulates providers' APIs and renders real files from the prompt.

It replaces a provider whose account has no API key, and adapters are tested against it. It uses neither Django nor the queue; the
queue knows only its base URL.
"""
