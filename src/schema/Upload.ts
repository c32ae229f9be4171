/** Files that a page hands to its node to be sent: a browser has no paths, so their bytes come over the API. */
import * as Schema from "effect/Schema"
import { TransferId } from "./Id.ts"

export const UploadId = Schema.String.check(
  Schema.isPattern(/^[a-z2-7]{25}[aeimquy4]$/u, { expected: "an id (26 base32 characters)" })
).pipe(Schema.brand("UploadId"))
export type UploadId = typeof UploadId.Type

export const Upload = Schema.Struct({
  id: UploadId,
  /** Whole files that are here, and directories that were named. */
  files: Schema.Natural,
  directories: Schema.Natural,
  /** Bytes that have arrived, those of unfinished files too; and what was announced at the beginning, or null. */
  bytes: Schema.Natural,
  totalBytes: Schema.NullOr(Schema.Natural),
  /** The transfers that send it; empty until `send`. It is gone once all of them are over. */
  transfers: Schema.Array(TransferId),
  /** Milliseconds since 1970. */
  startedAt: Schema.Int,
  /** When it is gone whatever happens, in milliseconds since 1970. */
  expiresAt: Schema.Int
})
export type Upload = typeof Upload.Type
