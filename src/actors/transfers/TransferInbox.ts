/**
 * What other nodes say about transfers: sessions that come and go, offers, words about transfers that are there, and
 * data links. Each goes to the actor it is about; an offer that the policy lets in gets one. Owns nothing.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { limits } from "../../config.ts"
import { Frame, type FrameOf, unfinishedMax } from "../../schema/Frame.ts"
import type { TransferId } from "../../schema/Id.ts"
import { isOver } from "../../schema/Offer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { Inbound, SessionChange } from "../../services/Connection.ts"
import * as TransferArchive from "../../services/TransferArchive.ts"
import type { Link } from "../../services/Transport.ts"
import { broken, DataLane } from "./DataLane.ts"
import { manifestMax, manifestUnverifiedMax } from "./ManifestBudget.ts"
import { receiveActor } from "./receive/ReceiveActor.ts"
import { finalWords } from "./TransferWords.ts"
import { ReceiveMessage } from "./receive/ReceiveMessages.ts"
import { lanesMax } from "./send/SendState.ts"
import { makeMailbox } from "./TransferActor.ts"
import { deliver, fresh, type TransferRuns } from "./TransferRuns.ts"

export const inboxTags = [
  "Offer",
  "OfferReply",
  "TransferControl",
  "TransferStatus",
  "TransferDone",
  "DialMe",
  "Transfers"
] as const

export const hear = (
  runs: TransferRuns,
  heard: Inbound<(typeof inboxTags)[number]> | SessionChange
): Effect.Effect<void> => {
  if ("_tag" in heard) return heard._tag === "Up" ? sessionUp(runs, heard.peer) : sessionDown(runs, heard.peer)
  const { frame, peer } = heard
  if (frame._tag === "Offer") return offered(runs, peer, frame)
  if (frame._tag === "Transfers") return told(runs, peer, frame)
  const record = runs.tools.book.get(frame.transfer)
  const wanted = frame._tag === "TransferControl" ? undefined : "send"
  if (record === undefined || record.peer !== peer || (wanted !== undefined && record.direction !== wanted)) {
    return Effect.logDebug("A word about a transfer that is not there").pipe(
      Effect.annotateLogs({ peer, transfer: frame.transfer, frame: frame._tag })
    )
  }
  return deliver(record, { _tag: "Frame", frame })
}

const sessionUp = (runs: TransferRuns, peer: PeerId): Effect.Effect<void> => {
  runs.up.add(peer)
  const records = runs.tools.book.unfinished(peer)
  const unfinished = records.slice(0, unfinishedMax).map((record) => ({
    transfer: record.id,
    role: record.direction === "send" ? ("send" as const) : ("receive" as const)
  }))
  // First of all, so that what the peer does not find here is known to be gone before anything is offered again.
  // A session that is down again says so by itself.
  return runs.tools.words
    .say(peer, Frame.cases.Transfers.make({ unfinished }))
    .pipe(
      Effect.andThen(
        Effect.forEach(records, (record) => deliver(record, { _tag: "Session", up: true }), { discard: true })
      )
    )
}

const sessionDown = (runs: TransferRuns, peer: PeerId): Effect.Effect<void> => {
  runs.up.delete(peer)
  return Effect.forEach(runs.tools.book.unfinished(peer), (record) => deliver(record, { _tag: "Session", up: false }), {
    discard: true
  })
}

/** The peer lists what it has: what it was sending and does not list is gone. */
const told = (runs: TransferRuns, peer: PeerId, frame: FrameOf<"Transfers">): Effect.Effect<void> => {
  const sending = new Set(frame.unfinished.filter(({ role }) => role === "send").map(({ transfer }) => transfer))
  const gone = runs.tools.book
    .unfinished(peer)
    .filter((record) => record.direction === "receive" && !sending.has(record.id))
  return Effect.forEach(gone, (record) => deliver(record, { _tag: "Forgotten" }), { discard: true }).pipe(
    Effect.andThen(forgetEnded(runs, peer, sending))
  )
}

/** What ended and is not being sent any more is not asked for again either. */
const forgetEnded = (runs: TransferRuns, peer: PeerId, sending: ReadonlySet<TransferId>): Effect.Effect<void> => {
  const known = runs.tools.book.all.filter(
    (record) => record.isKept && record.peer === peer && isOver(record.view.state) && !sending.has(record.id)
  )
  return Effect.forEach(
    known,
    (record) => {
      record.isKept = false
      // What stays is looked at again, and removed, at the next start.
      return Effect.ignore(TransferArchive.remove(runs.tools.store, record.id))
    },
    { discard: true }
  )
}

const offered = (runs: TransferRuns, peer: PeerId, offer: FrameOf<"Offer">): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { book, config, registry, words } = runs.tools
    const known = book.get(offer.transfer)
    const decline = (reason: string) =>
      words.say(peer, Frame.cases.OfferReply.make({ transfer: offer.transfer, decision: "declined", reason }))
    if (known !== undefined) {
      if (known.peer !== peer || known.direction !== "receive") return yield* decline("that id is taken")
      // One that is just ending answers when it has.
      known.isAsked = !isOver(known.view.state)
      if (known.isAsked) return yield* deliver(known, { _tag: "Frame", frame: offer })
      // It ended while the sender was away; if it can't hear this either, it asks again.
      return yield* words.say(peer, ...finalWords(known))
    }
    const record = Option.getOrUndefined(yield* registry.get(peer))
    const policy = record?.accept ?? config.accept
    if (policy === "nobody" || record?.trust === "blocked") return yield* decline("this peer takes no files")
    if (book.underWay(peer, "receive") >= limits.transfersMax) {
      return yield* decline(`${limits.transfersMax} transfers from this peer are under way: try again later`)
    }
    const verified = record?.trust === "verified"
    if (!verified && !(yield* hasRoom(runs))) {
      return yield* decline(`${limits.offersMax} offers wait for an answer here: try again later`)
    }
    const unasked = policy === "everyone" || (policy === "verified" && verified)
    yield* receive(runs, peer, offer, unasked, unasked || verified ? manifestMax : manifestUnverifiedMax)
  }).pipe(Effect.annotateLogs({ peer, transfer: offer.transfer }))

/** Whether a stranger may offer one more. The oldest of those whose sender is away makes room. */
const hasRoom = Effect.fnUntraced(function* ({ tools, up }: TransferRuns) {
  const { offered } = tools.book
  if (offered.length < limits.offersMax) return true
  const ofStrangers = yield* Effect.filter(offered, ({ peer }) =>
    Effect.map(tools.registry.get(peer), (known) => !Option.exists(known, ({ trust }) => trust === "verified"))
  )
  if (ofStrangers.length < limits.offersMax) return true
  const leaving = ofStrangers.find(({ peer }) => !up.has(peer))
  if (leaving === undefined) return false
  leaving.isEnding = true
  yield* deliver(leaving, { _tag: "Crowded" })
  return true
})

const receive = Effect.fnUntraced(function* (
  runs: TransferRuns,
  peer: PeerId,
  offer: FrameOf<"Offer">,
  unasked: boolean,
  listsMax: number
) {
  const { book, config, random } = runs.tools
  const mailbox = yield* makeMailbox<ReceiveMessage>()
  const { bytes, directories, files, group, listing = false, name, priority = "normal" } = offer
  const shown = { id: offer.transfer, direction: "receive", state: "offered", group, peer, name, priority } as const
  const view = yield* fresh({ ...shown, files, directories, totalBytes: bytes })
  const record = yield* book.add(view, mailbox)
  yield* runs.tools.reports.came(peer, Effect.annotateLogs(Effect.logInfo("An offer came"), { files, bytes }))
  const seed = new DataView((yield* random.randomBytes(4)).buffer).getUint32(0)
  const { freshStaging } = runs
  const manifestMax = runs.lists.room(record.id, peer, listsMax)
  const options = {
    peerUp: runs.up.has(peer),
    unasked,
    listing,
    conflict: config.conflict,
    manifestMax,
    seed,
    freshStaging
  }
  yield* Queue.offer(mailbox, { _tag: "Own", message: ReceiveMessage.Begin() })
  yield* runs.start(record, receiveActor(runs.tools, record, mailbox, options))
})

/** An inbound data link: the transfer it names runs it, if its peer is the one that the link proved. */
export const inbound = (runs: TransferRuns, link: Link): Effect.Effect<void> =>
  Effect.gen(function* () {
    const peer = yield* runs.tools.registry.get(link.peer)
    if (Option.exists(peer, ({ trust }) => trust === "blocked")) return yield* broken("its key is blocked")
    const lane = new DataLane(link)
    const { attempt, lane: number, transfer } = yield* lane.attached
    const refuse = (reason: string) => lane.send({ _tag: "AttachReply", accepted: false, reason })
    const record = runs.tools.book.get(transfer)
    if (record === undefined || record.peer !== link.peer)
      return yield* refuse("no transfer with this peer has that id")
    if (number >= lanesMax) return yield* refuse(`there are at most ${lanesMax} lanes`)
    const done = yield* Deferred.make<void>()
    if (!(yield* Queue.offer(record.mailbox, { _tag: "Lane", lane, number, attempt, done }))) {
      return yield* refuse("this transfer is over")
    }
    yield* Deferred.await(done)
  }).pipe(
    Effect.catch((error) =>
      Effect.logDebug("A data link was not opened").pipe(Effect.annotateLogs({ reason: error.message }))
    ),
    Effect.andThen(link.close),
    Effect.annotateLogs({ peer: link.peer })
  )
