/**
 * What `kith chat` does: shows the latest messages and who is here, then what comes in while lines are typed. It ends
 * when the input does or the node stops; the connection and the terminal are its scope's.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { resolve } from "node:path"
import type { Event } from "../schema/Event.ts"
import type { Message } from "../schema/Message.ts"
import { isOver, type Transfer } from "../schema/Offer.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { inert, inertLines } from "../schema/Text.ts"
import * as ChatLine from "./ChatLine.ts"
import type { Client } from "./Client.ts"
import { Failed } from "./Ending.ts"
import { describe, markShown } from "./verbs/history.ts"
import { names, type Names } from "./Names.ts"
import * as Output from "./Output.ts"
import * as Progress from "./Progress.ts"
import { outcome as said } from "./verbs/say.ts"
import { outcome as sent } from "./verbs/send.ts"
import * as Terminal from "./Terminal.ts"
import { remarks, shortId } from "./Account.ts"

/** Lines of anything that may be long below a transfer that is over. */
const remarksMax = 5

/** Messages shown at the beginning. */
const shownAtFirst = 20

/** The same where more are unread. */
const shownMax = 200

/** Milliseconds in which a connected peer has a message; the next line is read after that. */
const patience = 300

const stopped = new Failed({ problem: "the node has stopped" })

export const converse = Effect.fn("cli.converse")(function* (client: Client, first: string | null) {
  const events = yield* client.node.events({ headers: {} })
  const me = (yield* client.node.info()).id
  let nameOf: Names = yield* names(client)
  let to = first === null ? null : yield* client.peers.find({ query: { query: first } })
  /** Who is here: the name they chose, and what they are called, which differs where two chose the same. */
  const here = new Map<PeerId, { readonly chosen: string; readonly called: string }>()
  const offers = new Map<Transfer["id"], Transfer>()
  const states = new Map<Transfer["id"], Transfer["state"]>()
  const people = () => [...here.values()].map(({ called }) => called).toSorted()
  const terminal = yield* Terminal.open((line) => complete(line, people()))
  const { print } = terminal

  const prompt = Effect.suspend(() => terminal.prompt(to === null ? "everyone> " : `${nameOf(to.id)}> `))
  const who = Effect.suspend(() => {
    const line = here.size === 0 ? "nobody is here" : `here: ${people().join(", ")}`
    return print(to === null ? line : `${line}; you talk to ${nameOf(to.id)}`)
  })

  /** On a terminal, what is shown is read. */
  const seen = (messages: ReadonlyArray<Message>, isOfPeer: boolean) =>
    terminal.isInteractive ? Effect.ignore(markShown(client, messages, { me, isOfPeer })) : Effect.void

  const peerChanged = Effect.fnUntraced(function* (peer: Extract<Event, { readonly _tag: "PeerChanged" }>["peer"]) {
    const was = here.get(peer.id)
    if (peer.state !== "connected") {
      if (was === undefined) return
      here.delete(peer.id)
      return yield* print(`* ${was.called} left`)
    }
    if (was?.chosen === peer.name) return
    nameOf = yield* names(client)
    const called = nameOf(peer.id)
    here.set(peer.id, { chosen: peer.name, called })
    yield* print(was === undefined ? `* ${called} is here` : `* ${was.called} is ${called} now`)
  })

  const transferChanged = Effect.fnUntraced(function* (transfer: Transfer) {
    if (states.get(transfer.id) === transfer.state) return
    states.set(transfer.id, transfer.state)
    if (isOver(transfer.state)) states.delete(transfer.id)
    if (transfer.state === "offered" && transfer.direction === "receive") {
      offers.set(transfer.id, transfer)
      const id = shortId(transfer)
      return yield* print(
        `* ${nameOf(transfer.peer)} offers ${Progress.whatOf(transfer)}: /accept ${id} or /decline ${id}`
      )
    }
    offers.delete(transfer.id)
    if (!isOver(transfer.state)) return
    const lines =
      transfer.direction === "send"
        ? sent(transfer, nameOf)
        : [
            `${transfer.state}: ${Progress.whatOf(transfer)} from ${nameOf(transfer.peer)}`,
            ...remarks(transfer, remarksMax).map((remark) => `  ${remark}`)
          ]
    for (const line of lines) yield* print(`* ${line}`)
  })

  const happened = (event: Event) => {
    switch (event._tag) {
      case "MessageAdded": {
        const { message } = event
        if (message.from === me) return Effect.void
        const aside = message.to === null ? "" : " (to you)"
        const text = inertLines(message.text).replaceAll("\n", "\n  ")
        return Effect.andThen(print(`${nameOf(message.from)}${aside}: ${text}`), seen([message], false))
      }
      case "PeerChanged":
        return peerChanged(event.peer)
      case "PeerRemoved":
        return Effect.sync(() => here.delete(event.id))
      case "TransferChanged":
        return transferChanged(event.transfer)
      case "Alarm":
        return print(`ALARM: ${inert(event.text)}`)
      case "Missed":
        return print("* some of what happened was missed; see: kith history")
      default:
        return Effect.void
    }
  }

  const decide = Effect.fnUntraced(function* (accept: boolean, given: string | null) {
    const [only, another] = offers.keys()
    if (given === null && (only === undefined || another !== undefined)) {
      return yield* print(only === undefined ? "nothing is offered" : "several offers wait: say which, by its id")
    }
    const { id } = yield* client.transfers.find({ query: { query: given ?? only ?? "" } })
    if (accept) yield* client.transfers.accept({ params: { id }, payload: {} })
    else yield* client.transfers.decline({ params: { id } })
  })

  const act = Effect.fnUntraced(function* (line: ChatLine.Line) {
    switch (line._tag) {
      case "Say": {
        const payload = { text: line.text, to: to?.id ?? null, wait: patience }
        const message = yield* client.messages.say({ payload })
        if (message.recipients.length === 0) return yield* print("* nobody is here: no one received it")
        if (message.state === "delivered" || message.state === "read") return
        return yield* Effect.forEach(said(message, nameOf), (text) => print(`* ${text}`), { discard: true })
      }
      case "To":
        to = line.peer === null ? null : yield* client.peers.find({ query: { query: line.peer } })
        return terminal.isInteractive ? yield* prompt : yield* who
      case "Who":
        return yield* who
      case "Send": {
        const payload = { paths: line.paths.map((path) => resolve(path)), to: to === null ? null : [to.id] }
        const views = yield* client.transfers.send({ payload })
        for (const view of views) states.set(view.id, view.state)
        return yield* print(`* offered to ${views.map((view) => nameOf(view.peer)).join(", ")}`)
      }
      case "Decide":
        return yield* decide(line.accept, line.id)
      case "Help":
        return yield* Effect.forEach(ChatLine.help, print, { discard: true })
      case "Wrong":
        return yield* print(`* ${line.problem}`)
      case "Nothing":
      case "Quit":
        return
    }
  })

  const typed = terminal.lines.pipe(
    Stream.map(ChatLine.read),
    Stream.takeWhile((line) => line._tag !== "Quit"),
    Stream.runForEach((line) =>
      act(line).pipe(
        // A mistyped name ends nothing; a node that is gone is noticed by the events.
        Effect.catch((error) => print(`* ${inert(messageOf(error))}`)),
        Effect.andThen(prompt)
      )
    )
  )

  for (const peer of yield* client.peers.list()) {
    if (peer.state === "connected") here.set(peer.id, { chosen: peer.name, called: nameOf(peer.id) })
  }
  const unread = (yield* client.messages.unread()).items.reduce((sum, { count }) => sum + count, 0)
  const limit = Math.min(Math.max(shownAtFirst, unread), shownMax)
  const latest = yield* client.messages.history({ query: { limit, ...(to !== null && { peer: to.id }) } })
  for (const message of latest) yield* print(describe(message, me, nameOf))
  yield* seen(latest, to !== null)
  yield* who
  for (const transfer of yield* client.transfers.list()) {
    if (isOver(transfer.state)) continue
    if (transfer.state === "offered" && transfer.direction === "receive") yield* transferChanged(transfer)
    else states.set(transfer.id, transfer.state)
  }
  yield* prompt
  const watching = yield* Effect.forkScoped(
    events.pipe(
      Stream.runForEach(({ data }) => happened(data)),
      // However the stream of events breaks, it means the same to the person who talks.
      Effect.mapError((error) => (error instanceof Output.Unwritten ? error : stopped)),
      Effect.andThen(stopped)
    )
  )
  yield* Effect.raceAllFirst([typed, Fiber.join(watching), Output.unread])
})

const messageOf = (error: { readonly message: string }): string => error.message

const commands = ["/to ", "/who", "/send ", "/accept", "/decline", "/quit", "/help"]

/** What the beginning of a line may become: commands, and after /to the names of who is here. */
const complete = (line: string, people: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (line.startsWith("/to ")) return people.map((name) => `/to ${name}`).filter((whole) => whole.startsWith(line))
  return line.startsWith("/") ? commands.filter((command) => command.startsWith(line)) : []
}
