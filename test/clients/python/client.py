"""A client of the live stream with the library websockets, driven by lines.

    client.py URL TOKEN header|frame [CURSOR]

It authorises in one of the two ways and begins at a cursor if there is one. Every
line of standard input is sent as a frame; its end closes the connection. What
comes is written, a line each: "frame JSON", "refused STATUS", "closed CODE".
"""

import asyncio
import json
import sys
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def say(*words):
    print(*words, flush=True)


async def forward(ws):
    """Sends what comes on standard input."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        await ws.send(line.decode().rstrip("\n"))
    await ws.close()


async def main(url, token, way, cursor=None):
    headers = None
    if way == "header":
        headers = {"Authorization": f"Bearer {token}"}
        if cursor:
            url += f"?cursor={quote(cursor, safe='')}"
    try:
        ws = await connect(url, additional_headers=headers)
    except InvalidStatus as refused:
        return say("refused", refused.response.status_code)
    if way == "frame":
        first = {"type": "auth", "token": token}
        if cursor:
            first["cursor"] = cursor
        await ws.send(json.dumps(first))
    sending = asyncio.create_task(forward(ws))
    try:
        while True:
            say("frame", await ws.recv())
    except ConnectionClosed:
        say("closed", ws.close_code)
    sending.cancel()


asyncio.run(main(*sys.argv[1:]))
