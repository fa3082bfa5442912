"""
The studio: a separate program that speaks the vendors' protocols and renders real files from the prompt.

It stands in for a vendor whose account has no key, and it is the rig that adapters are tested against. It knows nothing of Django
or of the queue, and the queue knows nothing of it but a base URL.
"""
