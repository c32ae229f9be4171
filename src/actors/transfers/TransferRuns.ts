/**
 * What the transfers of this node have in common: who is there, which actors run, and what groups and lists they need.
 * It starts an actor and sees to its end: says how it ended once, and lets go of what only it needed.
 */
import type * as SecureRandom from "effect/crypto/SecureRandom"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type { NodeConfig } from "../../config.ts"
import { type GroupId, idBytes, type TransferId } from "../../schema/Id.ts"
import type { Transfer as View } from "../../schema/Offer.ts"
import { base32, type PeerId } from "../../schema/PeerId.ts"
import type { PeerRegistry } from "../../services/PeerRegistry.ts"
import type { PeerWords } from "../../services/peers/PeerWords.ts"
import * as TransferArchive from "../../services/TransferArchive.ts"
import type { TransferStore } from "../../services/TransferStore.ts"
import { ManifestBudget } from "./ManifestBudget.ts"
import { end, type Ending, type Tools } from "./TransferActor.ts"
import type { Letter, TransferRecord } from "./TransferBook.ts"
import { finalWords } from "./TransferWords.ts"
import type { Walk } from "./send/Walk.ts"

export interface Parts extends Tools {
  readonly registry: PeerRegistry["Service"]
  readonly history: TransferStore["Service"]
  readonly config: NodeConfig["Service"]
  readonly random: SecureRandom.SecureRandom["Service"]
  /** What is said in answer to peers, one of which may not read. */
  readonly words: PeerWords
  readonly actors: FiberMap.FiberMap<TransferId, void>
  readonly walks: FiberMap.FiberMap<GroupId, void>
}

export class TransferRuns {
  readonly tools: Parts
  /** Peers with a session now. */
  readonly up = new Set<PeerId>()
  readonly lists = new ManifestBudget((id) => this.tools.book.get(id)?.view.state === "offered")
  /** Sendings that are not over, by group, and what they send. */
  private readonly groups = new Map<GroupId, { readonly members: Set<TransferId>; readonly walk: Walk }>()

  constructor(tools: Parts) {
    this.tools = tools
  }

  readonly freshStaging: Effect.Effect<string> = Effect.suspend(() =>
    Effect.map(this.tools.random.randomBytes(idBytes), base32)
  )

  readonly seed: Effect.Effect<number> = Effect.suspend(() =>
    Effect.map(this.tools.random.randomBytes(4), (bytes) => new DataView(bytes.buffer).getUint32(0))
  )

  /** Starts the actor of a transfer. */
  start(record: TransferRecord, run: Effect.Effect<Ending>): Effect.Effect<void> {
    return Effect.asVoid(FiberMap.run(this.tools.actors, record.id, this.watched(record, run)))
  }

  joinGroup({ id, view: { group } }: TransferRecord, walk: Walk): void {
    const known = this.groups.get(group) ?? { members: new Set<TransferId>(), walk }
    known.members.add(id)
    this.groups.set(group, known)
  }

  /** A walk goes on, and its list is kept, for as long as one transfer of its group does. */
  private leaveGroup({ direction, id, view: { group } }: TransferRecord): Effect.Effect<void> {
    return Effect.suspend(() => {
      const members = this.groups.get(group)?.members
      members?.delete(id)
      if (direction !== "send" || (members?.size ?? 0) > 0) return Effect.void
      this.groups.delete(group)
      return Effect.andThen(
        FiberMap.remove(this.tools.walks, group),
        // What stays belongs to no transfer any more: the next start removes it.
        Effect.ignore(TransferArchive.remove(this.tools.store, group))
      )
    })
  }

  /** What a stranger offered and nobody here answered is kept apart from what people did. */
  private judge(record: TransferRecord): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      if (record.direction === "send" || record.isAnswered) return
      const peer = yield* this.tools.registry.get(record.peer)
      if (Option.exists(peer, ({ trust }) => trust === "verified")) return
      record.view = { ...record.view, unanswered: true }
    })
  }

  /** Before anyone is told that it is over, and before what it could go on with is removed. */
  private keep(record: TransferRecord, outcome: Ending["outcome"]): Effect.Effect<void> {
    const { book, history, store } = this.tools
    return Effect.suspend(() => {
      const picked = record.direction === "send" ? this.groups.get(record.view.group)?.walk.picked : undefined
      return history.save(
        book.shownWith(record, outcome),
        Array.from(picked?.values() ?? [], ({ path }) => path)
      )
    }).pipe(
      Effect.catch((error) => Effect.logWarning(`How this transfer ended is not kept: ${error.message}`)),
      Effect.andThen(
        record.direction === "send" ? Effect.ignore(TransferArchive.remove(store, record.id)) : Effect.void
      )
    )
  }

  private logEnd({ bytes, direction, error, files, peer, problemCount, state }: View): Effect.Effect<void> {
    const line = Effect.logInfo(`A transfer is over: ${state}`).pipe(
      Effect.annotateLogs({ files, bytes, problems: problemCount, ...(error === null ? {} : { error }) })
    )
    return direction === "send" ? line : this.tools.reports.ended(peer, line)
  }

  /** The sender came back and asked while it ended: it may not have heard. */
  private sayAgain(record: TransferRecord): Effect.Effect<void> {
    record.isAsked = false
    return this.tools.words.say(record.peer, ...finalWords(record))
  }

  /** Says how it ended, once; what an actor dies of ends its transfer and nothing else. */
  private watched(record: TransferRecord, run: Effect.Effect<Ending>): Effect.Effect<void> {
    return run.pipe(
      Effect.catchDefect((defect) => {
        const outcome = { state: "failed", error: "a fault in this program: see its log" } as const
        const ending: Ending = { outcome, asker: undefined }
        return Effect.as(Effect.logError("A transfer failed by a fault in this program", defect), ending)
      }),
      Effect.tap(this.judge(record)),
      Effect.tap(({ outcome }) => this.keep(record, outcome)),
      Effect.tap(this.leaveGroup(record)),
      Effect.flatMap((ending) => end(this.tools, record, ending)),
      Effect.andThen(
        Effect.sync(() => {
          record.listing = null
          this.lists.forget(record.id)
        })
      ),
      Effect.andThen(Effect.suspend(() => (record.isAsked ? this.sayAgain(record) : Effect.void))),
      Effect.andThen(Effect.suspend(() => this.logEnd(record.view))),
      Effect.annotateLogs({ peer: record.peer, transfer: record.id })
    )
  }
}

export const deliver = (record: TransferRecord, letter: Letter): Effect.Effect<void> =>
  Effect.asVoid(Queue.offer(record.mailbox, letter))

/** A transfer as it is shown when it begins. */
export const fresh = (
  known: Pick<View, "id" | "direction" | "state" | "group" | "peer" | "name" | "files" | "directories" | "totalBytes"> &
    Pick<View, "priority">
): Effect.Effect<View> => Effect.map(Clock.currentTimeMillis, (startedAt) => ({ ...known, ...nothingYet, startedAt }))

const nothingYet = {
  bytes: 0,
  filesDone: 0,
  bytesPerSecond: 0,
  secondsLeft: null,
  listed: false,
  pausedBy: null,
  error: null,
  published: [],
  problems: [],
  problemCount: 0
} as const satisfies Partial<View>

/** As it is shown until its list is read back. */
export const viewOf = (begun: TransferArchive.Left["begun"], direction: View["direction"]): View => ({
  id: begun.transfer,
  direction,
  state: "waiting",
  group: begun.group,
  peer: begun.peer,
  name: begun.name,
  files: 0,
  directories: 0,
  totalBytes: 0,
  ...nothingYet,
  startedAt: begun.startedAt
})
