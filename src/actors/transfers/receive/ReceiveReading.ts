/**
 * What a receiver's journal says, as it is read back, and what of it still holds: files that someone removed from the
 * staging, and files that were the same and have changed, are asked for again. Owns nothing.
 */
import * as Effect from "effect/Effect"
import type { EntryList } from "../../../schema/EntryList.ts"
import { type JournalRecord, unpackDigests } from "../../../schema/Journal.ts"
import type { ConflictPolicy } from "../../../schema/Offer.ts"
import { Ranges } from "../../../schema/Ranges.ts"
import { top } from "../../../schema/RelativePath.ts"
import type { Staging } from "../../../services/FileStore.ts"
import { Intake } from "./Intake.ts"
import type { Publication } from "./ReceiveJournal.ts"

/** A journal as it is read. */
export class Reading {
  readonly publication: Publication = { chosen: new Map(), published: new Map() }
  intake: Intake | undefined
  conflict: ConflictPolicy | undefined
  listed: Extract<JournalRecord, { readonly _tag: "Listed" }> | undefined
  private isMine = false
  private readonly leftOut = new Ranges()
  private readonly transfer: string
  private readonly entries: EntryList

  constructor(transfer: string, entries: EntryList) {
    this.transfer = transfer
    this.entries = entries
  }

  take(record: JournalRecord): void {
    if (record._tag === "Begun") this.isMine = record.transfer === this.transfer && record.role === "receive"
    if (!this.isMine) return
    switch (record._tag) {
      case "Listed":
        this.listed = record
        break
      case "LeftOut":
        for (const [first, count] of record.entries) this.leftOut.add(first, count)
        break
      case "Accepted":
        if (record.conflict === null) break
        this.conflict = record.conflict
        this.intake = new Intake(this.entries, this.leftOut, record.conflict)
        break
      case "Blocks":
        for (const [i, digest] of unpackDigests(record.digests).entries())
          this.intake?.restore(record.first + i, digest)
        break
      case "Same":
        this.takeSame(record)
        break
      case "Failed":
        this.intake?.fail(record.entry, record.reason)
        break
      case "Publishing":
        for (const { name, top } of record.moves) this.publication.chosen.set(top, name)
        break
      case "Published":
        for (const { path, top } of record.moves) this.publication.published.set(top, path)
        break
    }
  }

  private takeSame({ digests, first, marks }: Extract<JournalRecord, { readonly _tag: "Same" }>): void {
    const { entries, intake } = this
    let file = -1
    let last = -1
    for (const [i, digest] of unpackDigests(digests).entries()) {
      const entry = entries.place(first + i)?.entry ?? -1
      if (entry !== last) file++
      last = entry
      intake?.restoreSame(first + i, digest, marks[file] ?? 0)
    }
  }
}

/** Files looked at in one go. */
const lookAt = 1000

/**
 * What was written but the disk has not, as when someone removed it: it is asked for again. Returns how many files.
 */
export const forgetLost = Effect.fnUntraced(function* (staging: Staging, intake: Intake, { chosen }: Publication) {
  const { entries } = intake
  let looking: Array<number> = []
  let lost = 0
  const look = Effect.gen(function* () {
    const files = looking.map((at) => ({ path: entries.path(at), size: intake.extent(at) }))
    const held = yield* staging.holds(files)
    for (const [i, at] of looking.entries()) {
      if (held[i] === true) continue
      intake.forget(at)
      lost++
    }
    looking = []
  })
  for (let at = 0; at < entries.length; at++) {
    if (entries.blockCount(at) === 0 || intake.leftOut.has(at) || intake.failed.has(at)) continue
    // Nothing of it is staged.
    if (intake.counterparts.whole.has(at)) continue
    // It may have its name already.
    if (intake.extent(at) === 0 || chosen.has(top(entries.path(at)))) continue
    looking.push(at)
    if (looking.length === lookAt) yield* look
  }
  if (looking.length > 0) yield* look
  return lost
})

/**
 * Files that were the same, and are not what they were: their blocks are asked for again. `isAnother`: what is there now
 * is compared in its place. Returns how many there were.
 */
export const forgetChanged = Effect.fnUntraced(function* (staging: Staging, intake: Intake, isAnother: boolean) {
  const { counterparts, entries } = intake
  let looking: Array<number> = []
  let changed = 0
  const look = Effect.gen(function* () {
    const marks = yield* staging.counterparts(looking.map((at) => ({ path: entries.path(at), size: entries.size(at) })))
    for (const [i, at] of looking.entries()) {
      if (marks[i] === counterparts.mark(at)) continue
      intake.unsame(at)
      if (isAnother) intake.looked(at, marks[i] ?? 0)
      changed++
    }
    looking = []
  })
  for (const at of counterparts.compared()) {
    looking.push(at)
    if (looking.length === lookAt) yield* look
  }
  if (looking.length > 0) yield* look
  return changed
})
