"""What the group members in Python share: their settings, their events, and the order to stop."""

import json
import sys
import threading
import time

settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
by_hand = settings["commit"] == "manual"
stopping = threading.Event()


def tell(event, **fields):
    """One line of JSON for the checker; a single write, so that threads do not mix theirs."""
    sys.stdout.write(json.dumps({"event": event, "at_ms": int(time.time() * 1000), **fields}) + "\n")
    sys.stdout.flush()


def name(partition):
    return f"{partition.topic}-{partition.partition}"


def wait_for_end_of_input():
    sys.stdin.read()
    stopping.set()


threading.Thread(target=wait_for_end_of_input, daemon=True).start()
