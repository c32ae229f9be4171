/**
 * Identifiers that are not keys: random, 128 bits, in lower-case base32. Equal on both ends of a link, so that
 * two logs can be laid side by side.
 */
import * as Schema from "effect/Schema"

const random = Schema.String.check(
  Schema.isPattern(/^[a-z2-7]{25}[aeimquy4]$/u, { expected: "an id (26 base32 characters)" })
)

/** Bytes of randomness behind each id. */
export const idBytes = 16

/** One transfer: one offer to one receiver. */
export const TransferId = random.pipe(Schema.brand("TransferId"))
export type TransferId = typeof TransferId.Type

/** One sending to several receivers: the transfers it became share it. */
export const GroupId = random.pipe(Schema.brand("GroupId"))
export type GroupId = typeof GroupId.Type

/** One chat message, the same at its sender and at every receiver. */
export const MessageId = random.pipe(Schema.brand("MessageId"))
export type MessageId = typeof MessageId.Type

/** One run of a node, new at each start: tells a restarted peer, and a cloned one, from the same peer. */
export const Instance = random.pipe(Schema.brand("Instance"))
export type Instance = typeof Instance.Type

/** One life of a sender's chat counter: a sender that lost its counter starts another epoch. */
export const Epoch = random.pipe(Schema.brand("Epoch"))
export type Epoch = typeof Epoch.Type

/** One comparison of words between two peers, named by the side that began it. */
export const VerificationId = random.pipe(Schema.brand("VerificationId"))
export type VerificationId = typeof VerificationId.Type

/** One alarm that is open. */
export const AlarmId = random.pipe(Schema.brand("AlarmId"))
export type AlarmId = typeof AlarmId.Type

/** Which ticket is meant: derived from its secret, and worth nothing without it. */
export const TicketId = random.pipe(Schema.brand("TicketId"))
export type TicketId = typeof TicketId.Type

/** 32 bytes: nonces, digests and proofs. One text for each value, so that texts can be hashed and compared. */
export const Bytes32 = Schema.String.check(
  Schema.isPattern(/^[a-z2-7]{51}[aq]$/u, { expected: "32 bytes (52 base32 characters)" })
).pipe(Schema.brand("Bytes32"))
export type Bytes32 = typeof Bytes32.Type
