// Runs node.js for a test: JSON commands on stdin, JSON lines of what happens on stdout. Ends with `quit` or its stdin.
//
//   node main.js --name Other --received DIR [--discovery-port P] [--core | --dial-heard | --crossing] [--future]
//
// `core`: nothing but node.js. `dial-heard`: dial who announces itself. `crossing`: dial who dials, so that the two dials
// cross. `future`: speak as a later minor version would. The command `lossy`: as if every receipt were lost.
import { once } from "node:events"
import readline from "node:readline"
import { parseArgs } from "node:util"
import { decide, dial } from "./dialling.js"
import * as node from "./node.js"
import { goingOn } from "./going-on.js"
import { attached, offer, offering } from "./offering.js"

const text = { type: "string" }
const flag = { type: "boolean", default: false }
const flags = { core: flag, "dial-heard": flag, crossing: flag, future: flag }
const known = { name: text, received: text, "discovery-port": text, ...flags }
const { values } = parseArgs({ options: known })
Object.assign(node.options, values)
if (!values.core) {
  Object.assign(node.frames, goingOn, offering)
  Object.assign(node.options, { attached, decide })
}
if (values["dial-heard"]) node.options.heard = dial
if (values.crossing) {
  node.options.decide = (link) => {
    const { dialled, socket, hello, peer } = link
    if (dialled || node.sessions.has(peer)) decide(link)
    else dial(socket.remoteAddress, hello.port, peer).on("secureConnect", () => decide(link))
  }
}
if (values.future) {
  const hello = { version: { major: 1, minor: 7 }, features: ["time-travel"] }
  node.options.said = (body) => [
    { ...body, ...(body._tag === "Hello" && hello), addedIn: "1.7" },
    ...(["Profile", "Attach"].includes(body._tag) ? [{ _tag: "Rainbow", colours: 7 }] : [])
  ]
}

let leave = () => undefined
const commands = {
  discover: () => (leave = node.discover(Number(values["discovery-port"]))),
  dial: ({ host = "127.0.0.1", port, peer }) => dial(host, port, peer),
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
