"""The launch of 660 combinations, compared with a bare bulk insert of the same rows."""

import math
import statistics
import time
from typing import Any

from benchmarks import stand

ROUNDS = 5
SCENES, OTHERS = 11, (5, 4, 3)  # number of values of each chosen dimension


def main() -> None:
    from campaigns import launch, plan
    from campaigns.models import Combination, Dimension, DimensionValue, Version
    from queue_app import clock, tickets
    from queue_app.models import Job, JobEvent, LedgerEntry, LedgerTransaction, Reservation, User

    user = User.objects.create_user("bench")
    tickets.grant(user, 1_000_000, at=clock.now(), actor="bench", reason="bench")
    large = [dimension for dimension in Dimension.objects.offered() if dimension.values.count() >= max(OTHERS)]
    chosen = {
        dimension.key: [value.key for value in dimension.values.all()[:count]]
        for dimension, count in zip(large, OTHERS, strict=False)
    }
    scene = Dimension.objects.create(key="scene", label="Scene", prompt_label="Scene")
    DimensionValue.objects.bulk_create(
        DimensionValue(dimension=scene, key=f"scene-{number}", label=f"Scene {number}") for number in range(SCENES)
    )
    chosen["scene"] = [value.key for value in scene.values.all()]
    brief = plan.Brief(
        brand="Bench",
        big_idea="A scent is a small holiday",
        model="sora-2",
        duration=4,
        dimensions=chosen,
    )
    tables = (Job, JobEvent, Reservation, LedgerTransaction, LedgerEntry, Combination, Version)
    ours, bare, cells = [], [], 0
    for _ in range(ROUNDS):
        made = plan.make(brief, user)
        cells = len(made.to_buy)
        last = {table: table._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0 for table in tables}
        began = time.perf_counter()
        launch.launch(made, owner=user, at=clock.now(), actor="bench")
        ours.append(time.perf_counter() - began)
        rows = {table: list(table._default_manager.filter(pk__gt=last[table])) for table in tables}
        bare.append(_bare(rows))
    ratio = statistics.median(ours) / statistics.median(bare)
    mine, plain = statistics.median(ours) * 1000, statistics.median(bare) * 1000
    if cells != SCENES * math.prod(OTHERS):
        raise RuntimeError(f"{cells} combinations were planned")
    print(f"launch of {cells} combinations: {mine:.0f} ms, bare bulk insert of the same rows {plain:.0f} ms")
    stand.verdict("launch ratio to the bare insert", ratio, most=2)
    stand.verdict("launch", mine / 1000, most=1.5, unit=" s")


def _bare(rows: dict[Any, list[Any]]) -> float:
    """Insert the same rows again without triggers and foreign key checks, then roll back. Return the seconds."""
    from django.db import connection, transaction

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in reversed(list(rows)):
                ids = [row.pk for row in rows[table]]
                cursor.execute(f"DELETE FROM {table._meta.db_table} WHERE id = ANY(%s)", [ids])
        began = time.perf_counter()
        for table, copies in rows.items():
            table._default_manager.bulk_create(copies, batch_size=500)
        seconds = time.perf_counter() - began
        transaction.set_rollback(True)
    return seconds


if __name__ == "__main__":
    with stand.installation():
        main()
