/**
 * Every transfer of this node as it is shown, and the way to its actor. It publishes what changes: at once when a
 * state does, at most every `limits.progressEvery` when only bytes do.
 *
 * It owns one map: transfers that are not over, and of those that are the newest `limits.transfersShownMax`, besides
 * the newest `limits.unansweredShownMax` that nobody here answered.
 */
import * as Clock from "effect/Clock"
import type * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import { limits } from "../../config.ts"
import { Event } from "../../schema/Event.ts"
import type { Frame, FrameOf } from "../../schema/Frame.ts"
import type { Bytes32, TransferId } from "../../schema/Id.ts"
import type { ListedEntry } from "../../schema/ListedEntry.ts"
import {
  type ConflictPolicy,
  isOver,
  type ProblemKind,
  type Transfer as View,
  type TransferPriority
} from "../../schema/Offer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { Events } from "../../services/Events.ts"
import type { NotPossible } from "../../services/Transfer.ts"
import type { Wanted } from "./receive/Choice.ts"
import type { DataLane } from "./DataLane.ts"
import { Speed } from "./Speed.ts"

/** What a person decides. */
export type PersonAction =
  | ({ readonly _tag: "accept"; readonly conflict?: ConflictPolicy } & Wanted)
  | { readonly _tag: "prioritise"; readonly priority: TransferPriority }
  | { readonly _tag: "decline" | "cancel" | "pause" | "resume" }

/** What reaches an actor from outside. */
export type Letter =
  | {
      readonly _tag: "Frame"
      readonly frame: FrameOf<"Offer" | "OfferReply" | "TransferControl" | "TransferStatus" | "TransferDone" | "DialMe">
    }
  | { readonly _tag: "Session"; readonly up: boolean }
  /** The sender was restarted and knows nothing of it. */
  | { readonly _tag: "Forgotten" }
  /** Too many offers wait for an answer here, and its sender is away. */
  | { readonly _tag: "Crowded" }
  /** A lane that the other side opened; `done` ends it. */
  | {
      readonly _tag: "Lane"
      readonly lane: DataLane
      readonly number: number
      readonly attempt: number
      readonly done: Deferred.Deferred<void>
    }
  | {
      readonly _tag: "Person"
      readonly action: PersonAction
      readonly reply: Deferred.Deferred<View, NotPossible>
    }

/** A part of a list: at most `limit` entries from this index on. */
export interface EntriesPart {
  readonly from: number
  readonly limit: number
}

export interface TransferRecord {
  readonly id: TransferId
  readonly peer: PeerId
  readonly direction: View["direction"]
  view: View
  /** What was published last, and when the last events were, in nanoseconds: they are at most so many a second. */
  shown: View | undefined
  readonly eventsAt: Array<bigint>
  /** Bytes so far, shown with the next tick. */
  bytes: number
  /** How it ends is decided, or about to be: it does not count among those under way any more. */
  isEnding: boolean
  /** Receiving: a person here acted on it, or the policy took it. */
  isAnswered: boolean
  /** Receiving: it was offered again, and the actor has not read that yet. */
  isAsked: boolean
  /** What a peer that asks again is told of a transfer that is over. */
  lastWord: Frame | null
  readonly mailbox: Queue.Enqueue<Letter>
  /** How it ended is kept in the data directory, for a sender that asks again in another run. */
  isKept: boolean
  /** Receiving: the staging that it grows in, which does not expire before it does. */
  staging: string | null
  /** Files of which every byte is there, shown with the next tick. */
  filesDone: number
  /** Receiving: what the top entries are called where they were published. */
  names: ReadonlyArray<{ readonly path: string; readonly name: string }>
  /** Over the digests of all its files, once it is done: ours where it came here, else what the receiver says. */
  digest: Bytes32 | undefined
  /** A part of its list, undefined while that is not known; null where there is no actor to ask. */
  listing: ((part: EntriesPart) => Effect.Effect<ReadonlyArray<ListedEntry> | undefined>) | null
  /** The last tick: what speed is measured from. */
  mark: { readonly nanos: bigint; readonly bytes: number }
  readonly speed: Speed
}

/** Events of one transfer in a second, of whatever kind; the end is one more. */
const eventsMax = 10
const second = 1_000_000_000n

const keysOf = (view: View): ReadonlyArray<keyof View> => Object.keys(view) as Array<keyof View>

/** Whether something is shown otherwise than it was published last. */
const isNews = ({ shown, view }: TransferRecord): boolean =>
  shown === undefined || keysOf(view).some((key) => !Object.is(view[key], shown[key]))

/** How long it may not be said yet, in nanoseconds. */
const tooSoon = ({ eventsAt, view }: TransferRecord, now: bigint): bigint => {
  const oldest = eventsAt.length < eventsMax || isOver(view.state) ? undefined : eventsAt[0]
  return oldest === undefined || now - oldest >= second ? 0n : second - (now - oldest)
}

/** Runs this for a transfer, unless such a thing runs already. */
export type Later = (id: TransferId, run: Effect.Effect<void>) => Effect.Effect<void>

export class TransferBook {
  private readonly records = new Map<TransferId, TransferRecord>()
  private readonly events: Events["Service"]
  private readonly later: Later

  constructor(events: Events["Service"], later: Later) {
    this.events = events
    this.later = later
  }

  get(id: TransferId): TransferRecord | undefined {
    return this.records.get(id)
  }

  /** The newest last. */
  get all(): Array<TransferRecord> {
    return [...this.records.values()]
  }

  /** Those with this peer that are not over. */
  unfinished(peer: PeerId): Array<TransferRecord> {
    return this.all.filter((record) => record.peer === peer && !isOver(record.view.state))
  }

  /** How many in this direction are under way with this peer. */
  underWay(peer: PeerId, direction: View["direction"]): number {
    return this.unfinished(peer).filter((record) => record.direction === direction && !record.isEnding).length
  }

  /** Offers that wait for an answer, the oldest first. */
  get offered(): Array<TransferRecord> {
    return this.all.filter(
      ({ direction, isEnding, view }) => direction === "receive" && view.state === "offered" && !isEnding
    )
  }

  /** Bytes that others which are received and taken still need on the disk here. */
  owed(but: TransferId): number {
    let bytes = 0
    for (const record of this.records.values()) {
      const { direction, state, totalBytes } = record.view
      if (record.id === but || direction !== "receive" || state === "offered" || isOver(state)) continue
      bytes += Math.max(0, totalBytes - record.bytes)
    }
    return bytes
  }

  add(view: View, mailbox: Queue.Enqueue<Letter>): Effect.Effect<TransferRecord> {
    return Effect.gen({ self: this }, function* () {
      const { direction, id, peer } = view
      const mark = { nanos: yield* Clock.monotonicTimeNanos, bytes: 0 }
      const nothing = {
        shown: undefined,
        eventsAt: [],
        bytes: 0,
        names: [],
        isKept: false,
        isEnding: false,
        isAnswered: false,
        isAsked: false,
        staging: null,
        filesDone: 0,
        lastWord: null,
        digest: undefined,
        listing: null,
        mark,
        speed: new Speed()
      }
      const record: TransferRecord = { id, peer, direction, view, mailbox, ...nothing }
      this.records.set(id, record)
      this.prune()
      yield* this.publish(record)
      return record
    })
  }

  /** Changes what is shown and says so, if anything does. */
  change(record: TransferRecord, change: Partial<View>): Effect.Effect<void> {
    record.view = this.shownWith(record, change)
    return this.publish(record)
  }

  /** What is shown once this has changed. */
  shownWith({ bytes: done, filesDone, speed, view }: TransferRecord, change: Partial<View>): View {
    const next = { ...view, ...change }
    const bytes = Math.min(done, next.totalBytes)
    const runs = next.state === "running"
    return {
      ...next,
      bytes,
      filesDone: Math.min(filesDone, next.files),
      bytesPerSecond: runs ? speed.bytesPerSecond : 0,
      secondsLeft: runs ? speed.secondsFor(next.totalBytes - bytes) : null
    }
  }

  /** Notes an entry that was left out or failed. It is published with the next change. */
  problem(record: TransferRecord, kind: ProblemKind, path: string, reason: string): void {
    const { failedCount = 0, problemCount, problems } = record.view
    const hasFailed = kind === "failed"
    // What went wrong is news, what was left out was known before: the former has the latter's place.
    const full = problems.length >= limits.problemsShownMax
    const outOf = full && hasFailed ? problems.findLastIndex((problem) => problem.kind === "leftOut") : -1
    const kept = outOf < 0 ? problems : problems.toSpliced(outOf, 1)
    record.view = {
      ...record.view,
      problems: full && outOf < 0 ? problems : [...kept, { kind, path, reason }],
      problemCount: problemCount + 1,
      ...(hasFailed && { failedCount: failedCount + 1 })
    }
  }

  /** Shows progress and speed for as long as it runs. */
  ticking(record: TransferRecord, runs: () => boolean): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      record.mark = { nanos: yield* Clock.monotonicTimeNanos, bytes: record.bytes }
      record.speed.reset()
      while (runs()) {
        yield* Effect.sleep(limits.progressEvery)
        const nanos = yield* Clock.monotonicTimeNanos
        const seconds = Number(nanos - record.mark.nanos) / 1e9
        record.speed.add(record.bytes - record.mark.bytes, seconds)
        record.mark = { nanos, bytes: record.bytes }
        yield* this.change(record, {})
      }
    })
  }

  /** Says what changed, if anything did; what comes too soon is said later, together. The end is said at once. */
  private publish(record: TransferRecord): Effect.Effect<void> {
    return Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
      if (!isNews(record)) return Effect.void
      return tooSoon(record, now) > 0n ? this.later(record.id, this.sayLater(record)) : this.say(record, now)
    })
  }

  /** Until nothing is left to say: a sleep may be shorter than was asked for, and more may change meanwhile. */
  private sayLater(record: TransferRecord): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      while (isNews(record)) {
        const now = yield* Clock.monotonicTimeNanos
        const wait = tooSoon(record, now)
        yield* wait > 0n ? Effect.sleep(Duration.nanos(wait)) : this.say(record, now)
      }
    })
  }

  private say(record: TransferRecord, now: bigint): Effect.Effect<void> {
    const { eventsAt, view } = record
    record.shown = view
    eventsAt.push(now)
    if (eventsAt.length > eventsMax) eventsAt.shift()
    return this.events.publish(Event.cases.TransferChanged.make({ transfer: view }))
  }

  /** Those over longest, by when they began, make room: those that nobody answered only for each other. */
  private prune(): void {
    const over = this.all.filter((record) => isOver(record.view.state))
    const isUnanswered = ({ view }: TransferRecord) => view.unanswered === true
    const surplus = [
      ...over.filter(isUnanswered).slice(0, -limits.unansweredShownMax),
      ...over.filter((record) => !isUnanswered(record)).slice(0, -limits.transfersShownMax)
    ]
    for (const { id } of surplus) this.records.delete(id)
  }
}

/** The waits between tries of a data link: quick at first, since most losses are blips. */
export const retryAfter = (failures: number): Duration.Duration =>
  failures === 0 ? Duration.zero : Duration.min(Duration.seconds(5), Duration.millis(100 * 2 ** failures))
