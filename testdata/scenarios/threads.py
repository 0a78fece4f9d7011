"""Threads that wait: with locals that nothing else refers to, deep stacks, thread-local data."""
import threading
import time

import ready

EVENT = threading.Event()
READY = threading.Barrier(8)
LOCAL = threading.local()


class Job:
    def __init__(self, number):
        self.number = number
        self.payload = ['payload', number]


def wait_here():
    READY.wait()
    EVENT.wait()


def worker(number):
    mine = ready.named(['only a local', number])
    job = ready.named(Job(number))
    LOCAL.value = ready.named({'of thread': number})
    wait_here()
    return mine, job


def recursive(depth, trail):
    here = ready.named(('depth', depth, [depth]))
    if depth:
        recursive(depth - 1, here)
    else:
        wait_here()
    return here, trail


def in_generator():
    def generator():
        inside = ready.named({'in a': 'generator'})
        wait_here()
        yield inside

    for _ in generator():
        pass


def in_exception():
    try:
        raise KeyError(ready.named(['reason']))
    except KeyError:
        wait_here()


def in_c_code():
    items = [3, 1, 2]
    items.sort(key=lambda item: wait_here() if item == 2 else item)


def in_method():
    class Waiting:
        def __init__(self):
            self.own = ready.named(['own'])
            wait_here()

    Waiting()


targets = [(worker, (1,)), (worker, (2,)), (recursive, (150, None)), (in_generator, ()), (in_exception, ()),
           (in_method, ()), (in_c_code, ())]
threads = [threading.Thread(target=target, args=arguments, daemon=True, name='thread %d' % number)
           for number, (target, arguments) in enumerate(targets)]
for thread in threads:
    thread.start()
READY.wait()
while len(EVENT._cond._waiters) < len(threads):
    time.sleep(0.01)
time.sleep(0.2)


def main(depth):
    local = ['of the main thread', depth]
    if depth:
        main(depth - 1)
    else:
        ready.wait()
    return local


main(20)
