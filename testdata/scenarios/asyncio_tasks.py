"""An event loop stopped between two steps: tasks, futures, handles, streams."""
import asyncio

try:
    import contextvars
except ImportError:         # 3.7 on
    contextvars = None

import ready

variable = contextvars and contextvars.ContextVar('request', default=None)


class State:
    def __init__(self):
        self.results = []


async def leaf(value):
    local = ['leaf', value]
    await asyncio.sleep(1000)
    return local


async def parent(value):
    if variable:
        variable.set(['request', value])
    children = [asyncio.ensure_future(leaf((value, number))) for number in range(3)]
    try:
        return await asyncio.gather(*children)
    finally:
        children.clear()


async def producer(queue):
    for number in range(100):
        await queue.put({'item': number})


async def consumer(queue, state):
    while True:
        state.results.append(await queue.get())
        await asyncio.sleep(1000)


async def numbers():
    for number in range(10):
        yield [number]
        await asyncio.sleep(0)


async def iterating(found):
    async for number in numbers():
        found.append(number)
        if len(found) > 3:
            await asyncio.Event().wait()


async def failing():
    raise ValueError(['failed'])


async def finished():
    return ['result']


async def locking(lock):
    async with lock:
        await asyncio.sleep(1000)


async def main():
    queue = asyncio.Queue(maxsize=5)
    state = State()
    lock = asyncio.Lock()
    found = []
    tasks = [asyncio.ensure_future(parent(number)) for number in range(10)]
    tasks += [asyncio.ensure_future(work) for work in (
        producer(queue), consumer(queue, state), iterating(found), failing(), finished(), locking(lock), locking(lock),
        asyncio.wait_for(leaf('timeout'), 500))]
    cancelled = asyncio.ensure_future(leaf('cancelled'))
    await asyncio.sleep(0.01)
    cancelled.cancel()
    loop = asyncio.get_event_loop()
    future = loop.create_future()
    future.add_done_callback(lambda done: None)
    handle = loop.call_later(1000, print, ['later'])
    server = await asyncio.start_server(lambda reader, writer: None, '127.0.0.1', 0)
    await asyncio.sleep(0.01)
    return tasks, cancelled, future, handle, server, state


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
kept = loop.run_until_complete(main())

ready.wait()
