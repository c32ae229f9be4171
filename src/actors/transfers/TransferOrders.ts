/**
 * What persons here order: to send, to look at what there is, and to decide about it. Each order goes to the actor it
 * is about, and is answered by it. Owns nothing.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { limits } from "../../config.ts"
import { GroupId, idBytes, TransferId } from "../../schema/Id.ts"
import { isOver, type Transfer as View, type TransferPriority } from "../../schema/Offer.ts"
import { base32, type PeerId } from "../../schema/PeerId.ts"
import { NotPossible, SendRefused, UnknownTransfer } from "../../services/Transfer.ts"
import * as TransferArchive from "../../services/TransferArchive.ts"
import { Walk } from "./send/Walk.ts"
import { sendActor } from "./send/SendActor.ts"
import type { SendMessage } from "./send/SendState.ts"
import { choose } from "./send/SendWalk.ts"
import { makeMailbox, notPossible } from "./TransferActor.ts"
import type { EntriesPart, PersonAction, TransferRecord } from "./TransferBook.ts"
import { fresh, type TransferRuns } from "./TransferRuns.ts"
import * as TransferStart from "./TransferStart.ts"

/** An actor answers at once; only one that a disk holds up does not. */
const patience = Duration.seconds(10)

export const send = Effect.fn("TransferOrders.send")(function* (
  runs: TransferRuns,
  paths: ReadonlyArray<string>,
  to: ReadonlyArray<PeerId>,
  priority: TransferPriority
) {
  const { book, random, store } = runs.tools
  const peers = [...new Set(to)]
  if (peers.length === 0) return yield* new SendRefused({ path: null, problem: "there is nobody to send it to" })
  const picked = yield* choose(store, paths)
  const busy = peers.find((peer) => book.underWay(peer, "send") >= limits.sendsMax)
  if (busy !== undefined) {
    const problem = `${limits.sendsMax} transfers to ${busy.slice(0, 8)} wait or are under way: wait for one to end`
    return yield* new SendRefused({ path: null, problem })
  }
  const group = GroupId.make(base32(yield* random.randomBytes(idBytes)))
  const names = [...picked.keys()]
  const name = names.length === 1 ? (names[0] ?? "") : `${names.length} items`
  return yield* begin(runs, peers, { group, name, priority }, picked)
})

/** Keeps what was picked, and begins one transfer to each. Whoever asked may go meanwhile: all of it is begun, or none. */
const begin = Effect.fnUntraced(function* (
  runs: TransferRuns,
  peers: ReadonlyArray<PeerId>,
  what: Pick<View, "group" | "name" | "priority">,
  picked: Walk["picked"]
) {
  const { store, walks } = runs.tools
  const { group } = what
  yield* Effect.mapError(
    TransferArchive.gather(store, group, picked),
    (error) => new SendRefused({ path: null, problem: error.message })
  )
  const walk = new Walk(yield* runs.seed)
  walk.picked = picked
  const made = yield* Effect.forEach(peers, (peer) => makeOne(runs, peer, what, walk))
  // Only once all of them are of the group: what a group shares goes with the last of those that are.
  yield* Effect.forEach(made, ({ record, run }) => runs.start(record, run), { discard: true })
  yield* FiberMap.run(walks, group, walk.settledBy(TransferStart.walkAndKeep(store, group, walk)))
  return made.map(({ view }) => view)
}, Effect.uninterruptible)

const makeOne = Effect.fnUntraced(function* (
  runs: TransferRuns,
  peer: PeerId,
  what: Pick<View, "group" | "name" | "priority">,
  walk: Walk
) {
  const { book, random } = runs.tools
  const id = TransferId.make(base32(yield* random.randomBytes(idBytes)))
  const mailbox = yield* makeMailbox<SendMessage>()
  const empty = { files: 0, directories: 0, totalBytes: 0 }
  const peerUp = runs.up.has(peer)
  const state = peerUp ? ("offered" as const) : ("waiting" as const)
  const view = yield* fresh({ id, direction: "send", state, peer, ...what, ...empty })
  const record = yield* book.add(view, mailbox)
  runs.joinGroup(record, walk)
  yield* Effect.catch(Effect.scoped(TransferArchive.send(runs.tools.store, view, true)), (error) =>
    Effect.logWarning(`This transfer will not outlive a restart: ${error.message}`)
  )
  return { view, record, run: sendActor(runs.tools, record, mailbox, { peerUp, walk }) }
})

/** What was picked for a send that is over is sent to the same peer once more: a new transfer of a new group. */
export const again = Effect.fn("TransferOrders.again")(function* (runs: TransferRuns, id: TransferId) {
  const { history, registry } = runs.tools
  const { view } = yield* find(runs, id)
  const refused = (problem: string) => new SendRefused({ path: null, problem })
  if (view.direction === "receive") return yield* refused("it came from the peer: ask there for it to be sent again")
  if (!isOver(view.state)) {
    const reason = "it can be sent again once it is over"
    return yield* new NotPossible({ transfer: view.id, action: "send again", state: view.state, reason })
  }
  const peer = Option.getOrUndefined(yield* registry.get(view.peer))
  if (peer === undefined) return yield* refused("its receiver was removed: add it as a peer first")
  if (peer.trust === "blocked") return yield* refused("its receiver is blocked: unblock it first")
  const picked = yield* Effect.mapError(history.picked(view.id), (error) => refused(error.message))
  if (picked === undefined) {
    return yield* refused("what was picked for it is not known any more: send it from where it is")
  }
  return yield* send(runs, picked, [view.peer], view.priority ?? "normal")
})

/** By its id, or the beginning of it. */
export const find = (runs: TransferRuns, query: string): Effect.Effect<TransferRecord, UnknownTransfer> =>
  Effect.suspend(() => {
    const found = runs.tools.book.all.filter((record) => query !== "" && record.id.startsWith(query.toLowerCase()))
    const [only] = found
    if (only !== undefined && found.length === 1) return Effect.succeed(only)
    return Effect.fail(new UnknownTransfer({ query, candidates: found.slice(0, 10).map((record) => record.id) }))
  })

export const entries = Effect.fn("TransferOrders.entries")(function* (
  runs: TransferRuns,
  id: TransferId,
  part: EntriesPart
) {
  const record = yield* find(runs, id)
  const { listing } = record
  const entries = listing === null || isOver(record.view.state) ? undefined : yield* listing(part)
  if (entries !== undefined) return entries
  return yield* new NotPossible({ transfer: record.id, action: "list", state: record.view.state })
})

export const decide = Effect.fn("TransferOrders.decide")(function* (
  runs: TransferRuns,
  id: TransferId,
  action: PersonAction
) {
  const record = yield* find(runs, id)
  const reply = yield* Deferred.make<View, NotPossible>()
  const sent = yield* Queue.offer(record.mailbox, { _tag: "Person", action, reply })
  if (!sent) return yield* notPossible(record, action)
  return yield* Effect.timeoutOrElse(Deferred.await(reply), {
    duration: patience,
    orElse: () => Effect.fail(notPossible(record, action))
  })
})
