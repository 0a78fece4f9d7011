"""An asyncio HTTP server with background tasks, queues and generators always under way."""
import asyncio
import json
import os

try:
    import contextvars
except ImportError:         # 3.7 on
    contextvars = None

REQUEST = contextvars and contextvars.ContextVar('request')
RECENT = []


async def background(queue, number):
    while True:
        item = await queue.get()
        RECENT.append({'worker': number, 'item': item})
        if len(RECENT) > 5000:
            RECENT.clear()
        await asyncio.sleep(0)


async def busy(queue):
    number = 0
    while True:
        number += 1
        await asyncio.gather(*(queue.put([number, step]) for step in range(5)))
        async for value in values(number):
            str(value)
        await asyncio.sleep(0)


async def values(number):
    for step in range(5):
        yield {'number': number, 'step': step}
        await asyncio.sleep(0)


async def handle(reader, writer):
    try:
        request = await reader.readuntil(b'\r\n\r\n')
        if REQUEST:
            REQUEST.set(request)
        await asyncio.wait_for(asyncio.sleep(0.001), 5)
        body = json.dumps(RECENT[-20:]).encode()
        writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    queue = asyncio.Queue(maxsize=100)
    tasks = [asyncio.ensure_future(background(queue, number)) for number in range(50)]
    tasks.append(asyncio.ensure_future(busy(queue)))
    server = await asyncio.start_server(handle, '127.0.0.1', 0)
    print('READY', os.getpid(), server.sockets[0].getsockname()[1], flush=True)
    if hasattr(server, 'serve_forever'):        # 3.7 on
        async with server:
            await server.serve_forever()
    await asyncio.gather(*tasks)


if hasattr(asyncio, 'run'):
    asyncio.run(main())
else:
    asyncio.get_event_loop().run_until_complete(main())
