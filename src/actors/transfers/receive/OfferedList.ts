/**
 * What is offered here, from the first page of its list to the answer: it is pulled and checked, weighed against what
 * can be stored, shown to whoever asks, and chosen from. It owns the list while it grows; what was found good goes to
 * the files that are received of it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { EntryList } from "../../../schema/EntryList.ts"
import type { EntryProblem } from "../../../schema/Offer.ts"
import type { Ranges } from "../../../schema/Ranges.ts"
import { limits } from "../../../config.ts"
import { Frame, type FrameOf } from "../../../schema/Frame.ts"
import { ManifestCheck, type MemoryRoom } from "../../../schema/ManifestCheck.ts"
import { beyond, bytesOf, type Choice, choose, isAll, type Wanted, without } from "./Choice.ts"
import type { DataLane } from "../DataLane.ts"
import type { Intake } from "./Intake.ts"
import { type Fate, listing, receivedFate } from "../ListedEntries.ts"
import { ListSpool } from "./ListSpool.ts"
import type { ReceivedFiles } from "./ReceivedFiles.ts"
import { fit, type Found, pullManifest, tooMuch, Unacceptable } from "./ReceiveManifest.ts"
import type { Receiving } from "./ReceiveMessages.ts"
import type { Tools } from "../TransferActor.ts"
import type { EntriesPart, Letter, PersonAction, TransferRecord } from "../TransferBook.ts"

/** Entries for which the reason is kept why they cannot be stored here. */
const reasonsMax = 10_000

export interface ListOptions {
  /** Memory its list may take, in bytes. */
  readonly manifestMax: number | MemoryRoom
  /** Random, and known to nobody. */
  readonly seed: number
}

/** A list on disk, and what is to be known of it without reading it. */
interface Spooled {
  readonly spool: ListSpool
  readonly leftOut: Ranges
  readonly senderLeftOut: ReadonlyArray<EntryProblem>
}

export class OfferedList {
  private readonly tools: Tools
  private readonly record: TransferRecord
  private readonly files: ReceivedFiles
  private readonly options: ListOptions
  private check: ManifestCheck
  /** What a person said to take before the list was there. */
  private wanted: Wanted | undefined
  /** What a person does not take, until the answer is given. */
  private choice: Choice | undefined
  /** Where it is while a person thinks. */
  private spool: Spooled | undefined
  private isAnswered = false
  /** One thing at a time: nobody looks at what is on its way to the disk or back. */
  private readonly turn = Semaphore.makeUnsafe(1)
  /** Why it cannot be taken now. */
  whyNot: string | undefined
  /** Why entries cannot be stored here, as far as that is kept. */
  private readonly unstorable = new Map<number, string>()

  constructor(tools: Tools, record: TransferRecord, files: ReceivedFiles, options: ListOptions) {
    this.tools = tools
    this.record = record
    this.files = files
    this.options = options
    this.check = this.fresh
  }

  /** Shows it to whoever asks. */
  show(isAccepted: () => boolean): void {
    this.record.listing = (part) => this.turn.withPermit(this.shown(part, isAccepted))
  }

  private shown(part: EntriesPart, isAccepted: () => boolean) {
    return Effect.gen({ self: this }, function* () {
      const { spool } = this
      const { intake } = this.files
      if (intake === undefined) return spool === undefined ? undefined : yield* this.shownFrom(spool, part)
      const known = { isAccepted: isAccepted(), reasons: this.unstorable }
      const aside = senderLeftOut(this.record.view.problems, intake.entries)
      const own = { length: intake.entries.length, found: intake.entries.part(part) }
      return listing(own, aside, (at) => receivedFate(intake, at, known), part)
    })
  }

  /** From the disk, where nothing is taken yet. */
  private shownFrom({ leftOut, senderLeftOut, spool }: Spooled, part: EntriesPart) {
    return Effect.gen({ self: this }, function* () {
      const own = { length: spool.length, found: yield* spool.part(part) }
      const fate = (at: number): Fate => ({
        state: leftOut.has(at) ? "leftOut" : "offered",
        reason: this.unstorable.get(at) ?? null,
        digest: null
      })
      return listing(own, senderLeftOut, fate, part)
    }).pipe(
      Effect.catch((error) => Effect.as(Effect.logWarning(`A list cannot be shown: ${error.message}`), undefined))
    )
  }

  /** Nobody has answered yet: from now on the list is on disk. Where that cannot be, it stays in memory. */
  readonly putAside: Effect.Effect<void> = Effect.suspend(() => this.turn.withPermit(this.spoolIt))

  private readonly spoolIt = Effect.suspend(() => {
    const { intake } = this.files
    const { options, record, tools } = this
    if (intake === undefined || this.isAnswered || this.spool !== undefined) return Effect.void
    const { entries, leftOut } = intake
    return Effect.matchEffect(ListSpool.write(tools.store, record.id, entries, options.seed), {
      onFailure: (error) => Effect.logWarning(`The list of an offer stays in memory: ${error.message}`),
      onSuccess: (spool) =>
        Effect.sync(() => {
          this.spool = { spool, leftOut, senderLeftOut: senderLeftOut(record.view.problems, entries) }
          this.files.intake = undefined
          this.forgetHalf()
          if (typeof options.manifestMax !== "number") options.manifestMax.spooled(spool.bytes)
        })
    })
  })

  /** Removes what is on disk of it. */
  readonly discard: Effect.Effect<void> = Effect.suspend(() => {
    const { spool } = this
    this.spool = undefined
    return spool === undefined ? Effect.void : spool.spool.discard
  })

  /** The sender may be another run that lists anew: half of a list is worth nothing then. */
  forgetHalf(): void {
    this.check = this.fresh
  }

  /** For a list of which nothing is known yet. */
  private get fresh(): ManifestCheck {
    return new ManifestCheck({ seed: this.options.seed, memoryMax: this.options.manifestMax })
  }

  /** The sender says how much it has found so far. */
  counted({ bytes, directories, files }: Found): void {
    this.record.view = { ...this.record.view, files, directories, totalBytes: bytes }
  }

  private showSoFar(found: Found): Effect.Effect<void> {
    this.counted(found)
    return this.tools.book.change(this.record, {})
  }

  /** What the sender could not offer is shown as it is at the sender. */
  private leftOutThere(): void {
    const { leftOut } = this.check
    const named = (leftOut?.named ?? []).slice(0, limits.problemsShownMax)
    const problems = named.map((one) => ({ kind: "leftOut" as const, ...one }))
    const problemCount = Math.max(leftOut?.count ?? 0, problems.length)
    this.record.view = { ...this.record.view, problems, problemCount }
  }

  /** A person says yes; false where that names nothing of it, or there is no room. */
  answer(wanted: Extract<PersonAction, { readonly _tag: "accept" }>): boolean {
    if (this.whyNot !== undefined || this.spool !== undefined) return false
    // A list that is not known yet is chosen from when it is.
    if (this.files.intake === undefined) this.wanted = wanted
    else if (!isAll(wanted) && this.choice === undefined) return false
    return true
  }

  /** A person takes a part of it: finds out which before the answer is weighed. */
  weigh(letter: Letter, state: Receiving): Effect.Effect<void> {
    return this.turn.withPermit(this.weighed(letter, state))
  }

  private weighed(letter: Letter, state: Receiving): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      this.whyNot = undefined
      if (letter._tag !== "Person" || letter.action._tag !== "accept" || state.accepted) return
      if (!(yield* this.readBack)) return
      const { intake } = this.files
      const { conflict = this.files.conflict, ...wanted } = letter.action
      this.choice = undefined
      if (intake === undefined) {
        if (wanted.ranges !== undefined) this.whyNot = "its list is not known yet"
        return
      }
      this.whyNot = beyond(wanted, intake.entries.length)
      if (this.whyNot === undefined && !isAll(wanted)) {
        this.choice = yield* choose(intake.entries, intake.leftOut, wanted)
      }
      // Of what is skipped nobody knows yet how much that is.
      if (this.whyNot === undefined && conflict !== "skip") yield* this.weighRoom(intake)
      const isPossible = this.whyNot === undefined && (isAll(wanted) || this.choice !== undefined)
      this.isAnswered = isPossible
      // What is not taken waits where it was.
      if (isPossible) yield* this.discard
      else if (this.spool !== undefined) this.files.intake = undefined
    })
  }

  /** The list is in memory again; false, and said why, where it cannot be read. */
  private readonly readBack: Effect.Effect<boolean> = Effect.suspend(() => {
    const { spool } = this
    if (spool === undefined) return Effect.succeed(true)
    return Effect.match(spool.spool.whole, {
      onFailure: (error) => {
        this.whyNot = error.message
        return false
      },
      onSuccess: (entries) => {
        this.files.learnt(entries, spool.leftOut)
        return true
      }
    })
  })

  private weighRoom(intake: Intake): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const bytes = intake.totalBytes - (this.choice === undefined ? 0 : bytesOf(intake.entries, this.choice.refused))
      // A disk that cannot be asked is found out about when it is written to.
      const target = yield* Effect.option(this.target)
      if (Option.isSome(target)) this.whyNot = tooMuch(bytes, target.value.freeBytes)
    })
  }

  /** What can be stored here, beside what other transfers still need; shown too. */
  private readonly target = Effect.suspend(() => {
    const { record, tools } = this
    return Effect.map(tools.store.target, (target) => {
      const freeBytes = Math.max(0, target.freeBytes - tools.book.owed(record.id))
      if (Number.isFinite(freeBytes)) record.view = { ...record.view, freeBytes }
      return { ...target, freeBytes }
    })
  })

  /** From now on the list is what was taken of it. */
  readonly take = Effect.suspend(() => {
    const { choice, record } = this
    const { intake } = this.files
    if (choice === undefined || intake === undefined) return Effect.void
    this.choice = undefined
    intake.leave(choice.refused)
    const { bytes, directories, files } = without(intake.entries, intake.leftOut).totals
    return this.tools.book.change(record, { files, directories, totalBytes: bytes, notTaken: choice.shown })
  })

  /** The word that it is taken, and how much of it. */
  get accepted(): FrameOf<"OfferReply"> {
    const { intake } = this.files
    const yes = { transfer: this.record.id, decision: "accepted", reason: "" } as const
    return Frame.cases.OfferReply.make(
      intake === undefined || intake.leftOut.size === 0
        ? yes
        : { ...yes, taken: without(intake.entries, intake.leftOut).totals }
    )
  }

  /** Pulls the list and weighs it. */
  learn(lane: DataLane) {
    return Effect.gen({ self: this }, function* () {
      const { check, record, tools } = this
      yield* pullManifest(lane, check, (found) =>
        record.view.listing === true ? Effect.suspend(() => this.showSoFar(found)) : Effect.void
      )
      const { entries } = check
      this.leftOutThere()
      const leftOut = yield* fit(check, yield* this.target, (entry, reason) => {
        tools.book.problem(record, "leftOut", entries.path(entry), reason)
        if (this.unstorable.size < reasonsMax) this.unstorable.set(entry, reason)
      })
      const intake = this.files.learnt(entries, leftOut)
      if (this.wanted !== undefined && !isAll(this.wanted)) yield* this.chooseEarly(intake, this.wanted)
      const { directories, files } = entries.totals
      yield* tools.book.change(record, { files, directories, totalBytes: intake.totalBytes })
      return intake
    })
  }

  private chooseEarly(intake: Intake, wanted: Wanted) {
    return Effect.gen({ self: this }, function* () {
      this.choice = yield* choose(intake.entries, intake.leftOut, wanted)
      if (this.choice !== undefined) return
      return yield* new Unacceptable({ reason: "nothing in it has the names that were asked for" })
    })
  }
}

/** What the sender left out, as far as it is named: it was not offered, and so is not in the list. */
const senderLeftOut = (problems: ReadonlyArray<EntryProblem>, entries: EntryList): ReadonlyArray<EntryProblem> =>
  problems.filter(({ kind, path }) => kind === "leftOut" && entries.find(path) < 0)
