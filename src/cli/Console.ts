/**
 * What `up` tells the person who started it: who the node is and where, and on a terminal what comes in. Message texts
 * are shown on a terminal only; a log never holds them.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { relative, resolve } from "node:path"
import { Loopback } from "../api/Loopback.ts"
import { NodeConfig } from "../config.ts"
import { format } from "../schema/Address.ts"
import type { Event } from "../schema/Event.ts"
import type { Transfer } from "../schema/Offer.ts"
import { type PeerId, short } from "../schema/PeerId.ts"
import { inert, inertLines } from "../schema/Text.ts"
import type { Verification } from "../schema/Verification.ts"
import { Events } from "../services/Events.ts"
import { Identity } from "../services/Identity.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Transport } from "../services/Transport.ts"
import * as Output from "./Output.ts"
import * as Progress from "./Progress.ts"
import type { LogFormat } from "./Settings.ts"
import { remarks, shortLength } from "./transfers.ts"

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
  yield* Output.line(`${inert(config.name)} (${short(id)}) is up`)
  for (const row of Output.table(rows)) yield* Output.line(`  ${row}`)
})

/** Prints what comes in, for as long as the node runs. */
export const watch = Effect.gen(function* () {
  const { id: me } = yield* Identity
  const registry = yield* PeerRegistry
  const events = yield* Events
  const { received: directory } = yield* NodeConfig
  const into = fromHere(resolve(directory))
  /** Who it is, and whether anyone has made sure of that. */
  const trustOf = (id: PeerId) =>
    Effect.map(registry.get(id), (found) =>
      Option.match(found, { onNone: () => "unverified", onSome: (peer) => peer.trust })
    )
  const nameOf = (id: PeerId) =>
    Effect.map(registry.get(id), (found) =>
      Option.match(found, { onNone: () => short(id), onSome: (peer) => inert(peer.name) || short(id) })
    )
  const states = new Map<Transfer["id"], Transfer["state"]>()
  const print = (event: Event) => {
    switch (event._tag) {
      case "MessageAdded": {
        const { message } = event
        if (message.from === me) return Effect.void
        const text = inertLines(message.text).replaceAll("\n", "\n  ")
        const to = message.to === null ? " (to everyone)" : ""
        return Effect.flatMap(nameOf(message.from), (name) => Output.line(`${name}${to}: ${text}`))
      }
      case "TransferChanged": {
        const { transfer } = event
        if (states.get(transfer.id) === transfer.state || transfer.direction !== "receive") return Effect.void
        const known = states.has(transfer.id)
        states.set(transfer.id, transfer.state)
        return Effect.flatMap(Effect.all([nameOf(transfer.peer), trustOf(transfer.peer)]), ([name, trust]) =>
          Effect.forEach(received(transfer, { name, trust, into, known }), Output.line, { discard: true })
        )
      }
      case "VerificationChanged":
        return Effect.flatMap(nameOf(event.verification.peer), (name) =>
          Effect.forEach(comparison(event.verification, name), Output.line, { discard: true })
        )
      case "Alarm":
        return Output.line(`ALARM: ${inert(event.text)}`)
      default:
        return Effect.void
    }
  }
  yield* Stream.runForEach(events.stream, print)
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
  const id = transfer.id.slice(0, shortLength)
  switch (transfer.state) {
    case "offered":
      return [
        `${name} (${trust}) offers ${what}, to be stored in ${into}`,
        `  Take it: kith accept ${id}   Refuse it: kith decline ${id}`
      ]
    case "running":
      return known ? [] : [`${name} sends ${what}`]
    case "done":
      return [`received ${what} from ${name}`, ...remarks(transfer).map((remark) => `  ${remark}`)]
    case "partial":
    case "failed":
    case "cancelled":
      return [`${what} from ${name}: ${transfer.state}`, ...remarks(transfer).map((remark) => `  ${remark}`)]
    default:
      return []
  }
}
