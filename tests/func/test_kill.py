# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each program in the middle of a 100,000-event replay, 20 times each at random moments: the store
then holds every event of the recording exactly once, in order."""
import os
import random
import signal

import pytest
from conftest import recording, wait_until

COUNT = int(os.environ.get("PATHBELL_KILL_EVENTS", "100000"))
KILLS = int(os.environ.get("PATHBELL_KILL_ROUNDS", "20"))
RATE = 12000


def stored(site):
    """Events of the replay in the store, by the store's own count."""
    import sqlite3

    try:
        with site.database() as database:
            return database.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def positions(site):
    """source.seq of every replayed event in the order of storing, read back over the public API's bytes."""
    import fleet_client

    event_type = fleet_client.messages("event").Event
    out = []
    with site.database() as database:
        for (blob,) in database.execute("SELECT event FROM events ORDER BY id"):
            event = event_type.FromString(blob)
            if event.replayed:
                out.append(event.source.seq)
    return out


class Victims:
    def __init__(self, site, agent, config):
        self.site, self.agent, self.config = site, agent, config

    def uplink(self):
        pid = wait_until(lambda: self.site.uplink_pid(self.agent), "an uplink to kill")
        os.kill(pid, signal.SIGKILL)

    def agent_(self):
        self.agent.kill()
        self.agent = self.site.start_agent("victim", config=self.config)

    def aggregator(self):
        self.site.aggregator.kill()
        self.site.start_aggregator()


@pytest.mark.parametrize("victim", ["uplink", "agent", "aggregator"])
def test_every_event_is_stored_once_and_in_order(site, victim):
    seed = int(os.environ.get("PATHBELL_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"PATHBELL_KILL_SEED={seed}")
    chance = random.Random(seed)
    file = recording(site.dir / "replay.rec", COUNT, seed % 1000)
    site.start_aggregator()
    config = site.agent_config("victim", collectors={
        "block": {"enabled": False},
        "replay": {"enabled": True, "file": file, "rate": RATE},
    })
    victims = Victims(site, site.start_agent("victim", config=config), config)

    moments = sorted(chance.randrange(COUNT // 50, COUNT - COUNT // 50) for _ in range(KILLS))
    for number, moment in enumerate(moments):
        wait_until(lambda: stored(site) >= moment, f"{moment} stored events before kill {number + 1}", 120)
        getattr(victims, {"agent": "agent_"}.get(victim, victim))()

    def complete():
        return stored(site) >= COUNT and len(positions(site)) >= COUNT

    wait_until(complete, "the whole recording to be stored", 180)
    assert positions(site) == list(range(1, COUNT + 1))

    spool = wait_until(lambda: (lambda s: s if s and s.get("unacked", 0) == 0 else None)(site.local("victim", "status").get("spool")), "an empty spool")
    assert spool["captured"] == spool.get("acked", 0) + spool.get("unacked", 0) + spool.get("tombstoned", 0)
    assert spool.get("tombstoned", 0) == 0
