/** A chat message as every face shows it. The field names are what scripts rely on. */
import * as Schema from "effect/Schema"
import { MessageId } from "./Id.ts"
import { PeerId } from "./PeerId.ts"
import { ChatText } from "./Text.ts"

/**
 * queued: waits for a peer that is away. sent: written to a link. delivered: safe at the receiver. expired: the peer did
 * not come back in time, and will not get it.
 */
export const MessageState = Schema.Literals(["queued", "sent", "delivered", "read", "expired"])
export type MessageState = typeof MessageState.Type

const Recipient = Schema.Struct({ peer: PeerId, state: MessageState })
type Recipient = typeof Recipient.Type

export const Message = Schema.Struct({
  id: MessageId,
  from: PeerId,
  /** null: to everyone who was connected or verified when it was sent. */
  to: Schema.NullOr(PeerId),
  text: ChatText,
  /** Milliseconds since 1970 by the sender's clock. */
  sentAt: Schema.Int,
  /** That of the least advanced recipient; `delivered` for a message received here. */
  state: MessageState,
  /** The list behind `state`; empty for a message received here. */
  recipients: Schema.Array(Recipient)
})
export type Message = typeof Message.Type
