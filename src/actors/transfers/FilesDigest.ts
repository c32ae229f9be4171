/**
 * One digest over all that a transfer has brought, taken at both ends: where they differ, some byte is not what was
 * sent, though each block was verified when it came. Owns nothing.
 */
import * as Effect from "effect/Effect"
import { type Digests, WholeDigest } from "../../schema/Digests.ts"
import type { EntryList } from "../../schema/EntryList.ts"
import { Frame } from "../../schema/Frame.ts"
import { Bytes32 } from "../../schema/Id.ts"
import { base32 } from "../../schema/PeerId.ts"
import { short } from "../../schema/Text.ts"
import type { TransferRecord } from "./TransferBook.ts"

/** Entries between two chances for others to run. */
const stride = 1000

/** Of the files that count; undefined where the digest of some block is not known here. */
export const digestOf = Effect.fn("FilesDigest.of")(function* (
  entries: EntryList,
  digests: Digests,
  counts: (at: number) => boolean
) {
  const whole = new WholeDigest(entries, digests)
  for (let at = 0; at < entries.length; at++) {
    if (counts(at)) whole.add(at)
    if (at % stride === stride - 1) yield* Effect.yieldNow
  }
  const { bytes } = whole
  return bytes === undefined ? undefined : Bytes32.make(base32(bytes))
})

/** What the receiver is told, and what is shown here, where its digest is not ours; undefined where it is. */
export const disagreement = (record: TransferRecord, ours: Bytes32 | undefined) => {
  if (record.digest === undefined || ours === undefined || record.digest === ours) return undefined
  const error =
    `what the receiver has is not what was sent: its digest is ${record.digest}, ours is ${ours}. ` +
    "Check the memory and the disks of both machines, and send it again"
  return { error, frame: Frame.cases.Refused.make({ frame: "TransferDone", reason: short(`${record.id}: ${error}`) }) }
}
