// Runs node.js for a test: JSON commands on stdin, JSON lines of what happens on stdout. Ends with `quit` or its stdin.
//
//   node main.js --name Other --received DIR [--discovery-port P] [--dial-heard] [--crossing] [--future]
import { once } from "node:events"
import readline from "node:readline"
import { parseArgs } from "node:util"
import * as node from "./node.js"
import { attached, offer } from "./offering.js"

const text = { type: "string" }
const flag = { type: "boolean", default: false }
const known = { name: text, received: text, "discovery-port": text, "dial-heard": flag, crossing: flag, future: flag }
const { values } = parseArgs({ options: known })
Object.assign(node.options, values, { dialHeard: values["dial-heard"] })

const port = await node.listen(attached)
let leave = () => undefined
const commands = {
  discover: () => (leave = node.discover(Number(values["discovery-port"]))),
  dial: ({ host = "127.0.0.1", port, peer }) => node.dial(host, port, peer),
  say: ({ peer, text }) => node.say(peer, text),
  offer: ({ peer, paths, corrupt }) => offer(peer, paths, corrupt),
  lossy: ({ on }) => (node.options.lossy = on),
  frame: ({ peer, frame }) => node.sessions.get(peer)?.send(frame),
  drop: ({ peer }) => node.sessions.get(peer)?.socket.destroy(),
  quit: async () => {
    leave()
    const links = [...node.sessions.values()]
    const closed = links.map((link) => once(link.socket, "close"))
    for (const link of links) node.goodbye(link, "shutdown")
    await Promise.all(closed)
    process.exit(0)
  }
}
readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { command, ...rest } = JSON.parse(line)
    commands[command](rest)
  })
  .on("close", () => process.exit(0))
node.tell("ready", { id: node.me, port })
