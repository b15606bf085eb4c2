"""Modules that are loaded late are whole for every thread, wherever two of them enter a circle of imports."""

from __future__ import annotations

import subprocess
import sys

# Babel's package imports its core, and its core the package. The mails come to the package and are about to
# go on to the core; they are kept until the poll is at the core too, or it plainly waits for its turn.
TWO_AT_ONCE = """
import sys, threading
from types import SimpleNamespace as Some
import connectors.base, stamina.instrumentation
from daemon import office, wiring

mails_are_there, poll_is_there, failed = threading.Event(), threading.Event(), []

def watch(event, args):
    name = threading.current_thread().name
    if name == "mail" and event == "import" and args[0] == "babel.core":
        mails_are_there.set()
        poll_is_there.wait(1)
    if name == "poll" and event == "exec" and args[0].co_filename.endswith("babel/core.py"):
        poll_is_there.set()

def poll():
    mails_are_there.wait(10)
    wiring.connector(Some(accounts={"own": Some(caldav=Some())}), "own")

def mail():
    office.Office.scribe.func(Some(_connect_to_send=None, store=None, settings=None, clock=None))

def guarded(work):
    try:
        work()
    except ImportError as error:
        failed.append(error)
    except AttributeError:
        pass  # what is made of nothing does not work; it is loaded all the same

sys.addaudithook(watch)
threads = [threading.Thread(target=guarded, name=work.__name__, args=(work,)) for work in (poll, mail)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert mails_are_there.is_set()
sys.exit(str(failed) if failed else 0)
"""


def test_two_threads_may_load_at_once() -> None:
    """A poll that loads its connector while the first mail is made fails neither."""
    command = [sys.executable, "-c", TWO_AT_ONCE]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
