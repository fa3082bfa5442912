"""
Webhooks: 1,000 deliveries to 20 users whose servers answer after 20 ms, alone and beside a user with 20 endpoints that answer
after 29 s.
"""

import statistics
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks import stand

DELIVERIES, ENDPOINTS, SLOW_ENDPOINTS = 1_000, 20, 20
SECONDS, SLOW_SECONDS = 0.02, 29


class Receiver(BaseHTTPRequestHandler):
    """Answers every call with 204, below ``/slow`` late."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(SLOW_SECONDS if self.path.startswith("/slow") else SECONDS)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def serve(port: int) -> None:
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


def delivered(name: str, *, slow: bool = False) -> float:
    """Write the messages, wait until the quick endpoints have them, and return the seconds from the first to the last."""
    from queue_app import announce, clock
    from queue_app.models import OutboxMessage, WebhookEndpoint

    quick = WebhookEndpoint.objects.filter(url__endswith="/quick")
    at = clock.now()
    if slow:
        for endpoint in WebhookEndpoint.objects.filter(url__endswith="/slow"):
            for number in range(2):
                announce.to_endpoint(endpoint, "ping", f"{name}:{number}", at=at)
        stand.wait_until(lambda: OutboxMessage.objects.filter(tries=1, delivered_at=None).count() >= 8, seconds=30)
    at = clock.now()
    OutboxMessage.objects.bulk_create(
        announce._webhook(f"endpoint:{one.pk}", "ping", f"{name}:{number}", one.owner_id, at=at, endpoint=one)
        for number in range(DELIVERIES // ENDPOINTS)
        for one in quick
    )
    mine = OutboxMessage.objects.filter(endpoint__in=quick, created_at=at)
    stand.wait_until(lambda: not mine.filter(delivered_at=None).exists(), seconds=600)
    waits = [(done - at).total_seconds() for done in mine.values_list("delivered_at", flat=True) if done]
    if len(waits) != DELIVERIES or mine.exclude(tries=1).exists():
        raise RuntimeError("a message was not delivered at its first try")
    stand.figure(f"deliveries per second, {name}", DELIVERIES / max(waits))
    stand.figure(f"p50 from the change to the delivery, {name}", statistics.median(waits), " s")
    return max(waits)


def main() -> None:
    port = stand.free_port()
    with stand.installation(WEBHOOK_TRUSTED_ORIGINS=f"http://127.0.0.1:{port}"):
        from queue_app import clock
        from queue_app.models import User, WebhookEndpoint
        from queue_app.work import endpoints

        slow = User.objects.create_user("slow")
        for number in range(ENDPOINTS + SLOW_ENDPOINTS):
            owner = User.objects.create_user(f"user{number}") if number < ENDPOINTS else slow
            url = f"http://127.0.0.1:{port}/{'quick' if number < ENDPOINTS else 'slow'}"
            WebhookEndpoint.objects.create(owner=owner, url=url, events=[], secret=endpoints.new_secret(), created_at=clock.now())
        with stand.program("receiver", "-m", "benchmarks.webhooks", "serve", str(port)):
            stand.wait_until(lambda: stand.listens(port), seconds=30)
            with stand.worker():
                delivered("warm-up")
                alone = delivered("alone")
                beside = delivered("beside slow receivers", slow=True)
    stand.verdict("1,000 deliveries beside slow receivers / alone", beside / alone, most=1.25)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
