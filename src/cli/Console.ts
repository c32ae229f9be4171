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
import { Events } from "../services/Events.ts"
import { Identity } from "../services/Identity.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Transfer as Transfers } from "../services/Transfer.ts"
import { Transport } from "../services/Transport.ts"
import * as Output from "./Output.ts"
import * as Progress from "./Progress.ts"
import type { LogFormat } from "./Settings.ts"
import { typedLines } from "./TypedLines.ts"
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

/** Tells what comes in, and takes answers to offers, for as long as the scope lives. */
export const attend = Effect.gen(function* () {
  const { id: me } = yield* Identity
  const registry = yield* PeerRegistry
  const events = yield* Events
  const transfers = yield* Transfers
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
  /** Offers without an answer, the oldest first. */
  const offers = new Map<Transfer["id"], Transfer>()

  const transferChanged = Effect.fnUntraced(function* (transfer: Transfer) {
    const before = states.get(transfer.id)
    if (before === transfer.state || transfer.direction !== "receive") return
    states.set(transfer.id, transfer.state)
    if (isOver(transfer.state)) states.delete(transfer.id)
    if (transfer.state === "offered") offers.set(transfer.id, transfer)
    else offers.delete(transfer.id)
    const about = { name: yield* nameOf(transfer.peer), trust: yield* trustOf(transfer.peer), into }
    for (const line of received(transfer, { ...about, known: before !== undefined })) yield* Output.line(line)
  })

  const peerChanged = Effect.fnUntraced(function* (peer: Peer) {
    const isHere = peer.state === "connected"
    if (isHere === here.has(peer.id)) return
    if (isHere) here.add(peer.id)
    else here.delete(peer.id)
    const name = inert(peer.name) || short(peer.id)
    yield* Output.line(isHere ? `${name} (${short(peer.id)}) is here` : `${name} left`)
  })

  const print = (event: Event) => {
    switch (event._tag) {
      case "MessageAdded": {
        const { message } = event
        if (message.from === me) return Effect.void
        const text = inertLines(message.text).replaceAll("\n", "\n  ")
        const to = message.to === null ? " (to everyone)" : ""
        return Effect.flatMap(nameOf(message.from), (name) => Output.line(`${name}${to}: ${text}`))
      }
      case "TransferChanged":
        return transferChanged(event.transfer)
      case "PeerChanged":
        return peerChanged(event.peer)
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

  const decide = Effect.fnUntraced(function* (answer: Answer) {
    const asked = [...offers.values()].slice(0, answer.all ? undefined : 1)
    if (asked.length === 0) return yield* Output.line("nothing is offered")
    for (const { id, name } of asked) {
      yield* (answer.accept ? transfers.accept(id, {}) : transfers.decline(id)).pipe(
        Effect.andThen(Output.line(`${answer.accept ? "taken" : "declined"}: ${inert(name)}`)),
        Effect.catch((error) => Output.line(inert(error.message)))
      )
    }
  })

  yield* Effect.forkScoped(Stream.runForEach(events.stream, print), { startImmediately: true })
  if (!process.stdin.isTTY) return
  const typed = yield* typedLines
  yield* typed.pipe(
    Stream.runForEach((line) => {
      if (line.trim() === "") return Effect.void
      const answer = answerOf(line)
      return answer === null ? Output.line("y or n answers the oldest offer, Y or N all of them") : decide(answer)
    }),
    Effect.forkScoped
  )
})

/** What is answered to offers: to the oldest, or to all that wait. */
export interface Answer {
  readonly accept: boolean
  readonly all: boolean
}

/** What a line means as an answer, or null where it means none. Pure. */
export const answerOf = (line: string): Answer | null => {
  const word = line.trim()
  if (word === "Y" || word === "N") return { accept: word === "Y", all: true }
  if (/^(y|yes)$/i.test(word)) return { accept: true, all: false }
  return /^(n|no)$/i.test(word) ? { accept: false, all: false } : null
}

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
        process.stdin.isTTY
          ? `  Take it? y or n; or later: kith accept ${id}`
          : `  Take it: kith accept ${id}   Refuse it: kith decline ${id}`
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
