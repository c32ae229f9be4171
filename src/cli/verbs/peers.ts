/** `kith peers`: everyone this node knows; with `--watch` also what changes about them. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Alarm } from "../../schema/Alarm.ts"
import type { UnreadCounts } from "../../schema/ApiMessages.ts"
import type { Event } from "../../schema/Event.ts"
import type { Peer } from "../../schema/Peer.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { reminder } from "./alarms.ts"
import { namesOf } from "../Names.ts"
import * as Output from "../Output.ts"
import { json, watch, withNode } from "../Verb.ts"
import { watching } from "../Watch.ts"

/** What the person there says of themselves, in brackets. */
const statusOf = ({ status, statusText = "" }: Peer): string => {
  if (status === undefined || (status === "available" && statusText === "")) return ""
  return statusText === "" ? ` (${status})` : ` (${status}: ${statusText})`
}

const row = (peer: Peer): ReadonlyArray<string> => [
  short(peer.id),
  peer.name,
  `${peer.state}${statusOf(peer)}`,
  `${peer.trust}${peer.accept === null ? "" : `, accept ${peer.accept}`}`,
  peer.addresses[0] ?? ""
]

/** What waits to be seen, below the table. Pure. */
export const waiting = (
  unread: typeof UnreadCounts.Type,
  alarms: ReadonlyArray<Alarm>,
  nameOf: (id: PeerId) => string
): ReadonlyArray<string> => [
  ...unread.items.map(({ count, peer }) =>
    peer === null
      ? `${Output.count(count, "unread message")} to everyone; see: kith history`
      : `${Output.count(count, "unread message")} from ${nameOf(peer)}; see: kith history --peer ${short(peer)}`
  ),
  ...[reminder(alarms)].filter((line) => line !== "")
]

/** A change as a line, or null where it is not about peers. Pure. */
export const lineOf = (event: Event): string | null => {
  if (event._tag === "PeerRemoved") return `${short(event.id)} is forgotten`
  if (event._tag === "Alarm") return `ALARM: ${inert(event.text)}`
  return event._tag === "PeerChanged" ? row(event.peer).map(inert).join("  ").trimEnd() : null
}

export const peers = Command.make(
  "peers",
  { json, watch },
  Effect.fn("cli.peers")(function* ({ json, watch }) {
    if (watch) {
      return yield* watching({
        json,
        first: (client) =>
          Effect.map(client.peers.list(), (peers) => peers.map((peer) => ({ _tag: "PeerChanged" as const, peer }))),
        isWanted: (event) => lineOf(event) !== null,
        show: () => Effect.succeed((event) => lineOf(event) ?? "")
      })
    }
    const { alarms, peers, unread } = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const peers = yield* client.peers.list()
        if (json) return { peers, alarms: [], unread: { items: [] } }
        return { peers, alarms: yield* client.alarms.list(), unread: yield* client.messages.unread() }
      })
    )
    if (json) return yield* Output.json(peers)
    if (peers.length === 0) yield* Output.line("no peers yet; add one with: kith add HOST:PORT")
    else {
      for (const line of Output.table([["ID", "NAME", "STATE", "TRUST", "ADDRESS"], ...peers.map(row)])) {
        yield* Output.line(line)
      }
    }
    for (const line of waiting(unread, alarms, namesOf(peers))) yield* Output.note(line)
  })
).pipe(
  Command.withDescription("List the peers this node knows"),
  Command.withExamples([{ command: "kith peers" }, { command: "kith peers --watch --json" }])
)
