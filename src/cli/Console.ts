/**
 * What `up` tells the person who started it: who the node is and where, and on a terminal what comes in, where offers
 * can be answered too. Message texts are shown on a terminal only; a log never holds them.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { relative, resolve } from "node:path"
import { Loopback } from "../api/Loopback.ts"
import { NodeConfig } from "../config.ts"
import { format } from "../schema/Address.ts"
import type { Event } from "../schema/Event.ts"
import { isOver, type Transfer } from "../schema/Offer.ts"
import type { Peer } from "../schema/Peer.ts"
import { type PeerId, short } from "../schema/PeerId.ts"
import { inert, inertLines } from "../schema/Text.ts"
import type { Verification } from "../schema/Verification.ts"
import { Alarms } from "../services/Alarms.ts"
import { Events } from "../services/Events.ts"
import { Identity } from "../services/Identity.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Transfer as Transfers } from "../services/Transfer.ts"
import { Transport } from "../services/Transport.ts"
import * as Questions from "./Questions.ts"
import * as Output from "./Output.ts"
import * as Progress from "./Progress.ts"
import type { LogFormat } from "./Settings.ts"
import { typedLines } from "./TypedLines.ts"
import { remarks } from "./Account.ts"

/** Lines of anything that may be long below a transfer that is over. */
const remarksMax = 10

/** A path as it is shortest from here. */
const fromHere = (path: string): string => {
  const near = relative(process.cwd(), path)
  return near === "" ? "." : near.startsWith("..") ? path : `./${near}`
}

/** Says who the node is: a few lines, or one JSON log line. */
export const greet = Effect.fn("Console.greet")(function* (logFormat: LogFormat) {
  const config = yield* NodeConfig
  const { id } = yield* Identity
  const { url } = yield* Loopback
  const addresses = (yield* (yield* Transport).addresses).map(format)
  const received = resolve(config.received)
  if (logFormat === "json") {
    return yield* Effect.logInfo("The node is up.").pipe(
      Effect.annotateLogs({ name: config.name, id, addresses, api: url, received })
    )
  }
  const rows = [
    ...(addresses.length === 0 ? ["no address yet"] : addresses).map((address, at) => [
      at === 0 ? "listens on" : "",
      address
    ]),
    ["receives into", fromHere(received)],
    ["API", url]
  ]
  yield* Output.tell(`${inert(config.name)} (${short(id)}) is up`)
  for (const row of Output.table(rows)) yield* Output.tell(`  ${row}`)
})

/** Tells what comes in, and takes answers to offers, for as long as the scope lives. */
export const attend = Effect.gen(function* () {
  const { id: me } = yield* Identity
  const registry = yield* PeerRegistry
  const events = yield* Events
  const transfers = yield* Transfers
  const alarms = yield* Alarms
  const nameOf = (id: PeerId) =>
    Effect.map(registry.get(id), (found) =>
      Option.match(found, { onNone: () => short(id), onSome: (peer) => inert(peer.name) || short(id) })
    )
  const { received: directory } = yield* NodeConfig
  const into = fromHere(resolve(directory))
  /** Whether anyone has made sure who it is. */
  const trustOf = (id: PeerId) =>
    Effect.map(registry.get(id), (found) =>
      Option.match(found, { onNone: () => "unverified", onSome: (peer) => peer.trust })
    )
  const states = new Map<Transfer["id"], Transfer["state"]>()
  const here = new Set<PeerId>()
  const asking = Questions.make(transfers)

  const transferChanged = Effect.fnUntraced(function* (transfer: Transfer) {
    const before = states.get(transfer.id)
    if (transfer.direction !== "receive") return
    if (before === transfer.state) return yield* asking.changed(transfer)
    states.set(transfer.id, transfer.state)
    if (isOver(transfer.state)) states.delete(transfer.id)
    yield* asking.changed(transfer)
    const about = { name: yield* nameOf(transfer.peer), trust: yield* trustOf(transfer.peer), into }
    for (const line of received(transfer, { ...about, known: before !== undefined })) yield* Output.tell(line)
  })

  const peerChanged = Effect.fnUntraced(function* (peer: Peer) {
    const isHere = peer.state === "connected"
    if (isHere === here.has(peer.id)) return
    if (isHere) here.add(peer.id)
    else here.delete(peer.id)
    const name = inert(peer.name) || short(peer.id)
    yield* Output.tell(isHere ? `${name} (${short(peer.id)}) is here` : `${name} left`)
  })

  const print = (event: Event) => {
    switch (event._tag) {
      case "MessageAdded": {
        const { message } = event
        if (message.from === me) return Effect.void
        const text = inertLines(message.text).replaceAll("\n", "\n  ")
        const to = message.to === null ? " (to everyone)" : ""
        return Effect.flatMap(nameOf(message.from), (name) => Output.tell(`${name}${to}: ${text}`))
      }
      case "TransferChanged":
        return transferChanged(event.transfer)
      case "PeerChanged":
        return peerChanged(event.peer)
      case "VerificationChanged":
        return Effect.flatMap(nameOf(event.verification.peer), (name) =>
          Effect.forEach(comparison(event.verification, name), Output.tell, { discard: true })
        )
      case "Alarm":
        return Output.tell(`ALARM: ${inert(event.text)}`)
      default:
        return Effect.void
    }
  }

  yield* Effect.forkScoped(Stream.runForEach(events.stream, print), { startImmediately: true })
  // What happened in earlier runs, and waits for someone.
  for (const alarm of yield* alarms.list) yield* Output.tell(`ALARM: ${inert(alarm.text)}`)
  for (const transfer of (yield* transfers.list).toReversed()) {
    if (transfer.state === "offered") yield* transferChanged(transfer)
  }
  if (!process.stdin.isTTY) return
  const typed = yield* typedLines
  yield* typed.pipe(Stream.runForEach(asking.typed), Effect.forkScoped)
})

/** What a person is told of a comparison of words; what was asked for here is told where it was asked. Pure. */
const comparison = (verification: Verification, name: string): ReadonlyArray<string> => {
  const { begunBy, peer, reason, state, words } = verification
  if (state === "verified") return [`${name} is verified`]
  if (state === "mismatch") return [`${name} is NOT verified: ${reason ?? "the words differ"}`]
  return state === "comparing" && begunBy === "peer"
    ? [`${name} would like to compare these words with you: ${words.join(" ")}`, `  Answer: kith verify ${short(peer)}`]
    : []
}

/** What a person is told of a transfer that comes in and has changed its state. Pure. */
const received = (
  transfer: Transfer,
  about: { readonly name: string; readonly trust: string; readonly into: string; readonly known: boolean }
): ReadonlyArray<string> => {
  const { into, known, name, trust } = about
  const what = Progress.whatOf(transfer)
  switch (transfer.state) {
    case "offered":
      return Questions.question(transfer, { name, trust, into, canAnswer: process.stdin.isTTY })
    case "running":
      return known ? [] : [`${name} sends ${what}`]
    case "done":
      return [`received ${what} from ${name}`, ...remarks(transfer, remarksMax).map((remark) => `  ${remark}`)]
    case "partial":
    case "failed":
    case "cancelled":
      return [
        `${what} from ${name}: ${transfer.state}`,
        ...remarks(transfer, remarksMax).map((remark) => `  ${remark}`)
      ]
    default:
      return []
  }
}
