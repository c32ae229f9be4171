/** What a person may change about a running node, as the API carries it; and a status, as peers see it. */
import * as Schema from "effect/Schema"
import { AcceptPolicy, Availability } from "./Peer.ts"
import { bounded, Name } from "./Text.ts"

/** A sentence beside a status, in UTF-8 bytes. */
export const statusTextMaxBytes = 256

export const StatusText = bounded({ max: statusTextMaxBytes })

export const Profile = Schema.Struct({
  name: Name,
  status: Availability,
  /** A sentence of the person, or "". */
  statusText: StatusText,
  /** What happens to offers of peers that have no policy of their own. */
  accept: AcceptPolicy
})
export type Profile = typeof Profile.Type

/** What is absent stays as it is; a new status without a text takes the old text away. */
export const ProfileChange = Schema.Struct({
  name: Schema.optionalKey(Name),
  status: Schema.optionalKey(Availability),
  statusText: Schema.optionalKey(StatusText),
  accept: Schema.optionalKey(AcceptPolicy)
})
export type ProfileChange = typeof ProfileChange.Type

export const defaultStatus = { status: "available", statusText: "" } as const

/** The least that a speed may be capped at, in bytes a second: with less, data links would look dead. */
export const capMin = 8 * 1024

const Cap = Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(capMin)))

/** Bytes of blocks a second, in each direction; null: no cap. */
export const Caps = Schema.Struct({ send: Cap, receive: Cap })
export type Caps = typeof Caps.Type

/** What is absent stays as it is. */
export const CapsChange = Schema.Struct({ send: Schema.optionalKey(Cap), receive: Schema.optionalKey(Cap) })
export type CapsChange = typeof CapsChange.Type
