// A client of the live stream with the library ws, driven by lines.
//
//     client.js URL TOKEN header|frame [CURSOR]
//
// It authorises in one of the two ways and begins at a cursor if there is one. Every
// line of standard input is sent as a frame; its end closes the connection. What
// comes is written, a line each: "frame JSON", "refused STATUS", "closed CODE".

import { createInterface } from "node:readline";
import WebSocket from "ws";

const [url, token, way, cursor] = process.argv.slice(2);
const say = (...words) => console.log(...words);

const inHeader = way === "header";
const ws = new WebSocket(inHeader && cursor ? `${url}?cursor=${encodeURIComponent(cursor)}` : url, {
  headers: inHeader ? { Authorization: `Bearer ${token}` } : {},
});
ws.on("unexpected-response", (request, response) => {
  say("refused", response.statusCode);
  process.exit();
});
ws.on("open", () => {
  if (!inHeader) ws.send(JSON.stringify({ type: "auth", token, ...(cursor && { cursor }) }));
  const lines = createInterface({ input: process.stdin });
  lines.on("line", line => ws.send(line));
  lines.on("close", () => ws.close(1000));
});
ws.on("message", data => say("frame", data.toString()));
ws.on("close", code => {
  say("closed", code);
  process.exit();
});
